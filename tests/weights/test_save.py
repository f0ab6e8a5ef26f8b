import hashlib
import json
import os

import pytest
import torch
from safetensors.torch import load_file

from mmrbdc.weights import WeightsError, publish, read_checkpoint, save_member

META = {
    "family": "deit",
    "weights": "ema",
    "architecture": {"embed_dims": 12},
    "parents": ["ab"],
    "accuracy": {"val/top1": 91.5},
    "member": None,
}


def test_member_file_is_small_plain_and_readable_without_a_list(tmp_path):
    storage = torch.nn.Parameter(torch.randn(1000, 4))
    tensors = {"module.w": storage[:2], "module.n": torch.tensor(3)}
    path = tmp_path / "members" / "0.pth"
    save_member(path, tensors, META)
    content = torch.load(path, weights_only=True)
    assert content["meta"] == META and list(content["state_dict"]) == ["w", "n"]
    assert torch.equal(content["state_dict"]["w"], storage[:2])
    assert not content["state_dict"]["w"].requires_grad
    assert path.stat().st_size < 4000  # not the 16 kB of the whole storage
    checkpoint = read_checkpoint(path)
    assert checkpoint.weights == "ema" and checkpoint.meta == META


@pytest.mark.parametrize(
    "meta, message",
    [
        ({"accuracy": {"top1": torch.tensor(1.0)}}, r"meta\['accuracy'\]\['top1'\] is a Tensor"),
        ({"parents": [1, ("a",)]}, r"meta\['parents'\]\[1\] is a tuple"),
        ({1: 2}, r"meta has the key 1"),
    ],
)
def test_meta_must_be_plain(tmp_path, meta, message):
    with pytest.raises(WeightsError, match=message):
        save_member(tmp_path / "a.pth", {"w": torch.zeros(1)}, meta)
    assert os.listdir(tmp_path) == []


def test_publish_writes_three_files_that_agree(tmp_path):
    bn = torch.nn.BatchNorm2d(3)
    tensors = {"w": torch.randn(4, 3).t(), **{f"bn.{n}": t for n, t in bn.state_dict().items()}}
    paths = publish(tmp_path / "run" / "net", tensors, META)
    assert {k: p.name for k, p in paths.items()} == {
        "pth": "net.pth",
        "safetensors": "net.safetensors",
        "json": "net.json",
    }
    side_car = json.loads(paths["json"].read_text())
    assert side_car["sha256"] == hashlib.sha256(paths["pth"].read_bytes()).hexdigest()
    assert side_car["num_params"] == 12 + 3 + 3
    assert {key: side_car[key] for key in META} == META
    assert torch.equal(load_file(paths["safetensors"])["w"], tensors["w"])
    for suffix in ("pth", "safetensors"):
        checkpoint = read_checkpoint(paths[suffix])
        assert checkpoint.meta == META and checkpoint.weights == "ema"
        assert set(checkpoint.state_dict) == set(tensors)
