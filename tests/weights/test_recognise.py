"""What a file is, is found out from its names and shapes; what cannot be told is an error."""

import argparse
import json
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from mmrbdc.weights import Checkpoint, WeightsError, read_checkpoint
from mmrbdc.weights.libraries import check_complete, from_mmpretrain, recognise
from tests.weights.library_models import MODELS, SAMPLES, kept


@pytest.fixture(scope="module")
def timm_vit():
    return MODELS["timm-vit"].build()[0]


@pytest.fixture(scope="module")
def timm_resnet():
    return MODELS["timm-resnet18"].build()[0]


def checkpoint(tensors, meta=None):
    return Checkpoint(Path("a.pth"), dict(tensors), meta or {}, "raw", "")


def prefixed(tensors, prefix):
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "backbone.", "model.backbone."])
def test_known_prefixes_are_found(timm_vit, prefix):
    found = recognise(checkpoint({**prefixed(timm_vit, prefix), "loss.weight": torch.ones(2)})
                      if prefix else checkpoint(timm_vit))  # fmt: skip
    assert found.prefix == prefix and found.library == "timm" and found.family == "deit"
    assert found.left_behind == (("loss.weight",) if prefix else ())
    check_complete(found)


def test_an_unknown_prefix_is_named_and_can_be_given(timm_vit):
    file = checkpoint(prefixed(timm_vit, "teacher."))
    with pytest.raises(WeightsError, match=r"begin with 'teacher\.', which is not known.*prefix="):
        recognise(file)
    assert recognise(file, prefix="teacher.").prefix == "teacher."
    with pytest.raises(WeightsError, match=r"begin with 'teacher\.', not 'student\.'"):
        recognise(file, prefix="student.")


def test_two_models_in_one_file_are_not_chosen_from(timm_vit):
    file = checkpoint({**prefixed(timm_vit, "model."), **prefixed(timm_vit, "backbone.")})
    with pytest.raises(WeightsError, match=r"in several ways.*'model\.'.*'backbone\.'"):
        recognise(file)
    assert recognise(file, prefix="model.").left_behind[0].startswith("backbone.")


def test_an_unknown_file_names_what_it_has_and_what_was_tried():
    file = checkpoint({f"conv{i}.kernel": torch.ones(1) for i in range(9)})
    with pytest.raises(
        WeightsError,
        match=r"no DeiT, ViT or ResNet.*first of 9 are conv0\.kernel, conv1\.kernel, "
        r"conv2\.kernel, conv3\.kernel, and 5 more\. Prefixes tried: none, .*backbone, module",
    ):
        recognise(file)


@pytest.mark.parametrize(
    "extra", ["reg_token", "blocks.0.attn.q_norm.weight", "mask_token", "decoder_embed.weight"]
)
def test_what_the_family_does_not_have_is_an_error(timm_vit, extra):
    """Registers, norms on queries, the decoder of a masked autoencoder: not just leftovers."""
    with pytest.raises(WeightsError, match=f"looks like a deit in timm's names.*{extra}"):
        recognise(checkpoint({**timm_vit, extra: torch.ones(3)}))


def test_grouped_convolutions_are_no_resnet(timm_resnet):
    """ResNeXt has the names of a ResNet, other shapes, and another function."""
    name = "layer1.0.conv2.weight"
    wrong = {**timm_resnet, name: timm_resnet[name][:, :2]}
    with pytest.raises(WeightsError, match=r"shape of backbone\.layer1\.0\.conv2\.weight"):
        check_complete(recognise(checkpoint(wrong)))


def test_other_depths_are_named(timm_resnet):
    wrong = {n: t for n, t in timm_resnet.items() if not n.startswith("layer2.1.")}
    with pytest.raises(WeightsError, match=r"ResNet of \(2, 1, 2, 2\) basic blocks; known are"):
        recognise(checkpoint(wrong))


def test_a_missing_tensor_is_named(timm_vit):
    wrong = {n: t for n, t in timm_vit.items() if n != "blocks.1.mlp.fc1.bias"}
    with pytest.raises(
        WeightsError, match=r"missing: backbone\.layers\.1\.ffn\.layers\.0\.0\.bias"
    ):
        check_complete(recognise(checkpoint(wrong)))


def test_a_backbone_alone_of_shared_names(timm_resnet):
    """Without fc a plain ResNet has the same names everywhere, and the same tensors."""
    bare = {n: t for n, t in timm_resnet.items() if not n.startswith("fc.")}
    found = recognise(checkpoint(bare))
    assert found.libraries == ("mmpretrain", "torchvision", "timm") and found.head() == ()
    check_complete(found)


def test_an_old_resnet_without_counters(timm_resnet):
    old = {n: t for n, t in timm_resnet.items() if "num_batches" not in n}
    found = recognise(checkpoint(old))
    check_complete(found)
    assert any("counters" in note for note in found.notes)


def test_official_deit_iii(timm_vit):
    """Its layer scale is a plain tensor, its position table has no row for the class token."""
    model = MODELS["timm-deit3"].build()[0]
    official = {n.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): t
                for n, t in model.items()}  # fmt: skip
    ours, theirs = (recognise(checkpoint(tensors)) for tensors in (model, official))
    assert ours.state_dict.keys() == theirs.state_dict.keys()
    assert ours.shapes.architecture.layer_scale and ours.shapes.architecture.img_size == (32, 32)
    assert any("no row for the class token" in note for note in ours.notes)


def test_mmpretrains_deit3_computes_something_else():
    """Its names and shapes fit, and its second norm is never used: the reader is told."""
    found = recognise(checkpoint(MODELS["timm-deit3"].build()[0]))
    table = found.state_dict["backbone.pos_embed"]
    file = checkpoint({**found.state_dict, "backbone.pos_embed": table[:, 1:]})
    notes = " ".join(recognise(file).notes)
    assert "MMPretrain's class DeiT3" in notes
    assert "DeiT3" not in " ".join(found.notes)


@pytest.mark.parametrize("name", ["vit", "deit-teacher", "vit-backbone"])
def test_hugging_faces_live_names(name):
    """transformers 5 calls tensors otherwise in the model than in its files."""
    in_file = kept(name)[0]
    live_names = json.loads((SAMPLES / f"{name}.json").read_text())["live_names"]
    live = {live: in_file[file] for live, file in live_names.items()}
    assert live.keys() != in_file.keys()
    one, other = (recognise(checkpoint(tensors)) for tensors in (live, in_file))
    assert one.state_dict.keys() == other.state_dict.keys()
    assert all(torch.equal(t, one.state_dict[n]) for n, t in other.state_dict.items())
    check_complete(one)
    pooler = ("pooler.dense.weight", "pooler.dense.bias")
    assert set(one.left_behind) == (set(pooler) if name == "vit-backbone" else set())


def test_deit_of_hugging_face_with_one_head():
    tensors = kept("deit")[0]
    found = recognise(checkpoint(tensors))
    assert found.shapes.architecture.distilled and found.head() == (
        "head.layers.head.bias",
        "head.layers.head.weight",
    )
    back, _ = from_mmpretrain(found.state_dict, "huggingface", "deit")
    assert back.keys() == tensors.keys()


def test_torchvisions_first_names(timm_vit):
    tensors = MODELS["torchvision-vit"].build()[0]
    first = {n.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): t
             for n, t in tensors.items()}  # fmt: skip
    assert first.keys() != tensors.keys()
    one, other = recognise(checkpoint(first)), recognise(checkpoint(tensors))
    assert one.state_dict.keys() == other.state_dict.keys()


# --- files of training scripts


@pytest.mark.parametrize(
    "live, averaged", [("model", "model_ema"), ("state_dict", "state_dict_ema")]
)
def test_training_checkpoints_of_deit_and_timm(timm_vit, tmp_path, live, averaged):
    ema = {name: tensor + 1 for name, tensor in timm_vit.items()}
    more = dict(epoch=3, args=argparse.Namespace(lr=0.1, model="deit"), optimizer={"state": {}})
    torch.save({live: OrderedDict(timm_vit), averaged: ema, **more}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="holds two models"):
        read_checkpoint(tmp_path / "a.pth")
    for weights, expected in (("raw", timm_vit), ("ema", ema)):
        read = read_checkpoint(tmp_path / "a.pth", weights=weights)
        assert read.weights == weights
        assert all(torch.equal(t, expected[n]) for n, t in read.state_dict.items())
    torch.save({live: timm_vit, averaged: None, **more}, tmp_path / "b.pth")
    assert recognise(read_checkpoint(tmp_path / "b.pth")).library == "timm"
    with pytest.raises(WeightsError, match="has no 'ema' weights"):
        read_checkpoint(tmp_path / "b.pth", weights="ema")
