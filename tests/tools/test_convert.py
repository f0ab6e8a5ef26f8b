"""tools/model_converters/convert.py as a user runs it."""

import json
import runpy
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mmrbdc.families import architecture_from_config
from mmrbdc.weights import WeightsError, read_checkpoint, save_member
from tests.weights.library_models import MODELS, res

TOOL = Path(__file__).parents[2] / "tools" / "model_converters" / "convert.py"


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(TOOL))["main"]


@pytest.fixture(scope="module")
def timm_vit():
    return MODELS["timm-vit"].build()[0]


@pytest.fixture
def theirs(timm_vit, tmp_path):
    torch.save(timm_vit, tmp_path / "theirs.pth")
    return tmp_path / "theirs.pth"


def run(main, *arguments):
    return main([str(argument) for argument in arguments])


def test_there_and_back(main, timm_vit, theirs, tmp_path, capsys):
    run(main, theirs, tmp_path / "ours.pth", "--to", "mmpretrain", "--from", "timm")
    assert "deit 2x32 in timm's names (prefix ''), raw weights" in capsys.readouterr().out
    ours = read_checkpoint(tmp_path / "ours.pth")
    assert ours.meta["family"] == "deit"
    assert ours.meta["converted_from"]["library"] == "timm"
    assert len(ours.meta["converted_from"]["sha256"]) == 64
    run(main, tmp_path / "ours.pth", tmp_path / "back.pth", "--to", "timm")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert back.keys() == timm_vit.keys()
    assert all(torch.equal(back[name], timm_vit[name]) for name in timm_vit)


def test_safetensors_as_hugging_face_wants_them(main, theirs, tmp_path, capsys):
    run(main, theirs, tmp_path / "model.safetensors", "--to", "huggingface")
    assert "set layer_norm_eps=1e-6" in capsys.readouterr().out
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        names = set(file.keys())
    assert {"vit.encoder.layer.1.attention.attention.query.weight", "classifier.weight"} < names


def test_our_meta_is_kept(main, tmp_path):
    """A grown file that goes out and into MMPretrain's names again keeps what it says of itself."""
    config = MODELS["timm-vit"].classifier()
    architecture = architecture_from_config(config)
    tensors = {
        n: torch.zeros(architecture.layout().shape(n)) for n in architecture.layout().entries
    }
    meta = dict(family="deit", architecture=architecture.to_dict(), name="grown", train_flops=1e9)
    save_member(tmp_path / "a.pth", tensors, meta)
    run(main, tmp_path / "a.pth", tmp_path / "b.safetensors", "--to", "mmpretrain")
    kept = read_checkpoint(tmp_path / "b.safetensors").meta
    assert {key: kept[key] for key in meta} == json.loads(json.dumps(meta))


def test_nothing_is_overwritten(main, theirs, tmp_path):
    before = theirs.read_bytes()
    with pytest.raises(WeightsError, match=r"theirs\.pth exists already"):
        run(main, theirs, theirs, "--to", "mmpretrain")
    assert theirs.read_bytes() == before


@pytest.mark.parametrize(
    "model, library, message",
    [
        (
            "timm-deit-distilled",
            "torchvision",
            r"torchvision has no place for backbone\.dist_token",
        ),
        ("timm-deit3", "huggingface", r"huggingface has no place for .*gamma1"),
        ("timm-vit-no-bias", "torchvision", r"torchvision needs .*qkv\.bias"),
        ("timm-resnet50d", "huggingface", r"huggingface needs backbone\.conv1\.weight"),
    ],
)
def test_models_that_a_library_does_not_have(main, model, library, message, tmp_path):
    torch.save(MODELS[model].build()[0], tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=message):
        run(main, tmp_path / "a.pth", tmp_path / "b.pth", "--to", library)
    assert not (tmp_path / "b.pth").exists()


def test_another_library_than_said(main, theirs, tmp_path):
    with pytest.raises(WeightsError, match="is in timm's names, not in torchvision's"):
        run(main, theirs, tmp_path / "b.pth", "--to", "mmpretrain", "--from", "torchvision")


def test_a_suffix_that_nobody_reads(main, theirs, tmp_path):
    with pytest.raises(WeightsError, match=r"name a file that ends in \.pth"):
        run(main, theirs, tmp_path / "b.ckpt", "--to", "mmpretrain")


def test_caffe_style_is_told(main, tmp_path, capsys):
    """Names and shapes are those of a pytorch-style ResNet, the function is not."""
    head = dict(type="LinearClsHead", num_classes=5, in_channels=256)
    backbone = res(50, 8, style="caffe")
    architecture = architecture_from_config(
        dict(
            type="ImageClassifier",
            backbone=backbone,
            neck=dict(type="GlobalAveragePooling"),
            head=head,
        )
    )
    tensors = {
        n: torch.zeros(architecture.layout().shape(n)) for n in architecture.layout().entries
    }
    save_member(
        tmp_path / "a.pth", tensors, dict(family="resnet", architecture=architecture.to_dict())
    )
    run(main, tmp_path / "a.pth", tmp_path / "b.pth", "--to", "torchvision")
    assert "style='caffe'" in capsys.readouterr().out
