import json

import pytest
import torch
from torch import nn

from mmrbdc.weights import WeightsError, load_strict


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def filled(module, value):
    return {name: torch.full_like(t, value) for name, t in module.state_dict().items()}


def test_everything_is_copied_and_counted():
    module = net()
    report = load_strict(module, filled(module, 3), source="a.pth")
    assert all((value == 3).all() for value in module.state_dict().values())
    assert report.share == 1 and report.parameters == 3 * 4 + 4 + 4 + 4 + 4 * 2 + 2
    assert report.lines() == ["loaded 9 tensors, 34 of 34 parameters (100.0%), from a.pth"]
    assert json.loads(json.dumps(report.to_dict()))["num_matched"] == 9


def test_expected_differences_are_reported():
    module = net()
    state_dict = filled(module, 3)
    del state_dict["2.weight"], state_dict["2.bias"]
    state_dict["head.fc.weight"] = torch.zeros(1)
    report = load_strict(module, state_dict, expected_new=["2.*"], expected_unused=["head.*"])
    assert report.expected_new == ("2.weight", "2.bias")
    assert report.expected_unused == ("head.fc.weight",)
    assert report.parameters_matched == 24 and report.share == 24 / 34
    text = "\n".join(report.lines())
    assert "70.6%" in text and "new, as expected: 2.weight" in text
    assert "not used, as expected: head.fc.weight" in text


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.pop("2.weight"), r"missing in the file: 2\.weight \(2, 4\)"),
        (lambda s: s.update(extra=torch.zeros(5)), r"not in the model: extra \(5,\)"),
        (
            lambda s: s.update({"0.weight": torch.zeros(4, 5)}),
            r"shape of 0\.weight: \(4, 5\) in the file, \(4, 3\) in the model",
        ),
    ],
)
def test_anything_else_is_an_error_and_nothing_is_loaded(change, message):
    module = net()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state_dict = filled(module, 3)
    change(state_dict)
    with pytest.raises(WeightsError, match=message):
        load_strict(module, state_dict, source="a.pth")
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_long_lists_are_cut():
    with pytest.raises(WeightsError, match=r"; and 4 more\. Family"):
        load_strict(net(), {})
