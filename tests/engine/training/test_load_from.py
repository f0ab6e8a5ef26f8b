"""``load_from``: read before anything is built; what does not fit is named, or refused."""

import logging
import pickle

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmrbdc.engine.training.load_from import Beginning, load_what_fits, read_load_from
from mmrbdc.weights import WeightsError


class Detector(nn.Module):
    """Two layers and two BatchNorms under the names of a detector's parts."""

    def __init__(self, width=4, classes=3, mask=False):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))
        self.neck = nn.Linear(width, 4)
        self.bbox_head = nn.Linear(4, classes)
        if mask:
            self.mask_head = nn.Linear(4, 1)


def begun(state):
    return Beginning("a.pth", dict(state), {}, "raw")


def written(path, content):
    torch.save(content, path)
    return str(path)


class Code:
    """Pickles as a call."""

    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda place: str(place / "nowhere.pth"), r"nowhere\.pth does not exist"),
        (lambda place: str(place), "is a folder"),
        (lambda place: written(place / "b.pth", (1, 2)), r"b\.pth is not a checkpoint"),
        (lambda place: written(place / "c.pth", {"epoch": 3}), "its entry 'epoch' is a int"),
        (lambda place: written(place / "d.pth", {"state_dict": {}}), "no dict of tensors"),
        (
            lambda place: written(place / "e.pth", {"w": torch.full((2,), float("inf"))}),
            "w has 2 infinite of 2 values",
        ),
        (lambda place: "nosuchscheme://models/x.pth", r"nosuchscheme://models/x\.pth cannot be"),
    ],
)
def test_what_is_no_checkpoint_is_named_with_the_option(tmp_path, make, told):
    with pytest.raises(WeightsError, match=f"^load_from: .*{told}") as found:
        read_load_from(Config(dict(load_from=make(tmp_path))))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("save", [torch.save, lambda content, path: pickle.dump(content, path)])
def test_code_is_not_run(tmp_path, save, capsys):
    path = tmp_path / "code.pth"
    with open(path, "wb") as file:
        save({"state_dict": {"w": Code()}}, file)
    with pytest.raises(WeightsError, match=r"^load_from: .*code\.pth"):
        read_load_from(Config(dict(load_from=str(path))))
    assert "run" not in capsys.readouterr().out


def test_a_file_of_a_training_is_read(tmp_path):
    """Its moving average where it holds both, as MMEngine reads it."""
    state = Detector().state_dict()
    path = written(tmp_path / "a.pth", {"state_dict": state, "meta": {"epoch": 2}})
    found = read_load_from(Config(dict(load_from=path)))
    assert (found.weights, found.meta) == ("raw", {"epoch": 2})
    raw = {f"module.{name}": value * 0 for name, value in state.items()}
    path = written(tmp_path / "b.pth", {"state_dict": state, "ema_state_dict": raw})
    found = read_load_from(Config(dict(load_from=path)))
    assert found.weights == "ema" and torch.equal(found.state_dict["neck.bias"], state["neck.bias"])
    assert "moving average" in load_what_fits(Detector(), found).line(path)


@pytest.mark.parametrize("cfg", [{}, {"load_from": None}, {"load_from": "x.pth", "resume": True}])
def test_without_it_nothing_is_read(cfg):
    assert read_load_from(Config(cfg)) is None


def test_a_model_of_the_same_kind_fits_wholly():
    theirs, ours = Detector(), Detector()
    fit = load_what_fits(ours, begun(theirs.state_dict()))
    assert not fit.problems() and fit.matched == len(ours.state_dict())
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)


def test_other_heads_are_named_and_the_rest_is_loaded():
    theirs, ours = Detector(classes=80), Detector(mask=True)
    state = {**theirs.state_dict(), "rpn_head.weight": torch.ones(1)}
    del state["neck.bias"]
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    fit = load_what_fits(ours, begun(state))
    assert fit.other_shape == {
        "bbox_head.weight": [[80, 4], [3, 4]],
        "bbox_head.bias": [[80], [3]],
    }
    assert fit.missing == ["neck.bias", "mask_head.weight", "mask_head.bias"]
    assert fit.unused == ["rpn_head.weight"]
    for name, value in ours.state_dict().items():
        loaded = name in state and name not in fit.other_shape
        assert torch.equal(value, state[name] if loaded else before[name])
    line = fit.line("a.pth")
    assert "8 of the model's 13 tensors" in line and "bbox_head.bias (80,) in the file, (3," in line
    assert "3 missing in the file (neck.bias, " in line and "rpn_head.weight" in line


def without(name):
    state = dict(Detector().state_dict())
    del state[name]
    return state


@pytest.mark.parametrize(
    "state, told",
    [
        (Detector(width=8).state_dict(), r"backbone\.0\.weight \(8, 2\) in the file, \(4, 2\)"),
        (without("backbone.1.running_var"), r"missing in the file \(backbone\.1\.running_var\)"),
        (
            {**Detector().state_dict(), "backbone.2.weight": torch.ones(1)},
            r"1 of the file that are not in the model \(backbone\.2\.weight\)",
        ),
        ({"fc.weight": torch.ones(1)}, "not one tensor fits"),
        ({f"net.{k}": v for k, v in Detector().state_dict().items()}, "not one tensor fits"),
    ],
)
def test_another_backbone_or_model_is_refused(state, told):
    with pytest.raises(WeightsError, match=rf"load_from=a\.pth .*{told}"):
        load_what_fits(Detector(), begun(state))


def test_counters_of_old_files_may_be_missing():
    fit = load_what_fits(Detector(), begun(without("backbone.1.num_batches_tracked")))
    assert not fit.problems()


def test_twin_mmengine_passes_over_another_backbone(caplog):
    """What it prints is no error and no record."""
    from mmengine.runner.checkpoint import load_state_dict

    ours = Detector()
    before = ours.backbone[0].weight.clone()
    with caplog.at_level(logging.ERROR):
        load_state_dict(ours, Detector(width=8).state_dict(), strict=False)
    assert torch.equal(ours.backbone[0].weight, before) and not caplog.records
