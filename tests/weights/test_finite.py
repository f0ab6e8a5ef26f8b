"""Weights that are no numbers are named where they enter and where they leave."""

import json

import pytest
import torch
from torch import nn

from mmrbdc.weights import (
    WeightsError,
    check_numbers,
    load_strict,
    publish,
    read_checkpoint,
    save_member,
)

NAN, INF = float("nan"), float("inf")


def spoiled(*values, dtype=torch.float32, size=100):
    """A vector of halves with some values at its end."""
    tensor = torch.full((size,), 0.5)
    tensor[size - len(values) :] = torch.tensor(values)
    return tensor.to(dtype)


def quantised(scale):
    values = torch.ones(4)
    return torch._make_per_tensor_quantized_tensor(values.to(torch.int8), scale, 0)


FAULTS = {
    "float32": (spoiled(NAN, NAN, INF), "2 NaN and 1 infinite of 100"),
    "minus infinity": (spoiled(-INF), "1 infinite of 100"),
    "both infinities": (spoiled(-INF, INF), "2 infinite of 100"),
    "float64": (spoiled(NAN, dtype=torch.float64), "1 NaN of 100"),
    "float16": (spoiled(INF, dtype=torch.float16), "1 infinite of 100"),
    "bfloat16": (spoiled(NAN, dtype=torch.bfloat16), "1 NaN of 100"),
    "float8_e5m2": (spoiled(INF, dtype=torch.float8_e5m2), "1 infinite of 100"),
    "float8_e4m3fn": (spoiled(NAN, dtype=torch.float8_e4m3fn), "1 NaN of 100"),
    "complex": (torch.complex(spoiled(0.0), spoiled(NAN)), "1 NaN of 200"),
    "scalar": (torch.tensor(NAN), "1 NaN of 1 "),
    "not contiguous": (spoiled(NAN).reshape(10, 10).t()[1::2], "1 NaN of 50"),
    "sparse": (torch.diag(spoiled(NAN, size=4)).to_sparse(), "1 NaN of 4"),
    "compressed rows": (torch.diag(spoiled(NAN, size=4)).to_sparse_csr(), "1 NaN of 4"),
    "quantised by infinity": (quantised(INF), "4 infinite of 4"),
    "without values": (torch.empty(3, device="meta"), "no values"),
    "parameter": (nn.Parameter(spoiled(NAN)), "1 NaN of 100"),
}
SOUND = {
    "largest values": torch.full((1000,), torch.finfo(torch.float32).max),
    "largest halves": torch.full((1000,), torch.finfo(torch.float16).max, dtype=torch.float16),
    "smallest values": torch.full((10,), torch.finfo(torch.float32).tiny / 2),
    "counter": torch.tensor(2**62),
    "mask": torch.tensor([True, False]),
    "empty": torch.empty(0, 5),
    "empty half": torch.empty(0, dtype=torch.float16),
    "float8": torch.ones(4).to(torch.float8_e4m3fn),
    "complex": torch.ones(3, dtype=torch.complex64).conj(),
    "sparse": torch.eye(3).to_sparse(),
    "quantised": quantised(0.1),
    "negative weights": -torch.ones(3),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_every_kind_of_fault_is_named(kind):
    tensor, counts = FAULTS[kind]
    with pytest.raises(WeightsError, match=r"a\.pth: layer\.weight has") as found:
        check_numbers({"fine": torch.ones(2), "layer.weight": tensor}, "a.pth")
    assert counts in str(found.value)
    assert "fine" not in str(found.value)


@pytest.mark.parametrize("kind", SOUND)
def test_what_is_a_number_passes(kind):
    check_numbers({"layer.weight": SOUND[kind]}, "a.pth")


def test_a_variance_below_zero_is_named_and_a_mean_is_not():
    batch_norm = nn.BatchNorm1d(4)
    batch_norm.running_mean.fill_(-1)
    check_numbers(batch_norm.state_dict(), "a.pth")
    batch_norm.running_var[1] = -1e-3
    with pytest.raises(WeightsError, match=r"running_var has 1 of 4 variances below zero"):
        check_numbers(batch_norm.state_dict(), "a.pth")


def test_of_many_tensors_a_few_are_named():
    with pytest.raises(WeightsError, match=r"t3 has .*and 16 more tensors"):
        check_numbers({f"t{i}": spoiled(NAN) for i in range(20)}, "a.pth")


@pytest.mark.parametrize("value", [NAN, INF])
def test_a_file_is_refused_where_it_is_read(tmp_path, value):
    for name in ("plain.pth", "with_meta.pth"):
        state = {"module.w": spoiled(value), "module.b": torch.ones(1)}
        content = state if name == "plain.pth" else {"state_dict": state, "meta": {}}
        torch.save(content, tmp_path / name)
        with pytest.raises(WeightsError, match=rf"{name}: w has 1 (NaN|infinite) of 100"):
            read_checkpoint(tmp_path / name)


def test_of_a_file_with_two_models_the_chosen_one_counts(tmp_path):
    content = {
        "state_dict": {"w": torch.ones(2)},
        "ema_state_dict": {"module.w": spoiled(NAN), "steps": torch.tensor(1)},
    }
    torch.save(content, tmp_path / "both.pth")
    assert read_checkpoint(tmp_path / "both.pth", weights="ema").state_dict["w"].sum() == 2
    with pytest.raises(WeightsError, match=r"w has 1 NaN"):
        read_checkpoint(tmp_path / "both.pth", weights="raw")


def test_nothing_is_loaded(tmp_path):
    module = nn.Linear(2, 2)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(WeightsError, match=r"child\.pth: bias has 1 infinite of 2"):
        state = {"weight": torch.ones(2, 2), "bias": torch.tensor([1.0, INF])}
        load_strict(module, state, source="child.pth")
    assert all(torch.equal(t, before[n]) for n, t in module.state_dict().items())


@pytest.mark.parametrize("write", [save_member, publish])
def test_nothing_is_written_and_what_was_there_stays(tmp_path, write):
    target = tmp_path / ("net.pth" if write is save_member else "net")
    write(target, {"w": torch.ones(2)}, {})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(WeightsError, match=r"not written: .*net.*: w has 1 NaN of 100"):
        write(target, {"w": spoiled(NAN)}, {})
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_twin_without_the_check_the_bad_file_would_be_a_good_one(tmp_path):
    """What torch and JSON write by themselves: no error anywhere."""
    torch.save({"state_dict": {"w": spoiled(NAN)}, "meta": {"a": 1}}, tmp_path / "net.pth")
    content = torch.load(tmp_path / "net.pth", weights_only=True)
    assert content["state_dict"]["w"].isnan().any() and json.dumps(content["meta"])
