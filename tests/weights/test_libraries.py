"""What timm, torchvision and Hugging Face compute, MMPretrain computes from the converted tensors.

Each model has twins that were converted wrongly on purpose; they must differ.
"""

import functools
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS as MMPRETRAIN

from mmrbdc.families import architecture_from_config
from mmrbdc.weights import Checkpoint, WeightsError, read_checkpoint
from mmrbdc.weights.libraries import (
    LIBRARIES,
    check_complete,
    convert_file,
    from_mmpretrain,
    recognise,
)
from tests.numerics import assert_float32
from tests.weights.library_models import MODELS, sample_images

pytestmark = pytest.mark.numeric


@functools.cache
def built(name):
    """Tensors and output of a library's model, which is made once."""
    return MODELS[name].build()


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def found(name, tmp_path_factory):
    """The file of a library's model, recognised."""
    path = tmp_path_factory.mktemp(name) / "theirs.pth"
    torch.save(built(name)[0], path)
    return recognise(read_checkpoint(path))


def logits(name, tensors):
    """What MMPretrain's twin computes from tensors in its names."""
    init_default_scope("mmpretrain")
    classifier = MMPRETRAIN.build(MODELS[name].classifier()).eval()
    classifier.load_state_dict(tensors)
    with torch.no_grad():
        return classifier.double()(sample_images().double())


def error(name, tensors):
    """Largest difference of a logit, relative to the largest logit."""
    theirs = built(name)[1]
    assert theirs.std() > 0.1
    return ((logits(name, tensors) - theirs).abs().max() / theirs.abs().max()).item()


def exchanged(tensors, one, other):
    """The tensors with two of the backbone's modules exchanged."""
    one, other = f"backbone.{one}.", f"backbone.{other}."

    def renamed(name):
        for here, there in ((one, other), (other, one)):
            if name.startswith(here):
                return there + name[len(here) :]
        return name

    return {renamed(name): tensor for name, tensor in tensors.items()}


def permuted(tensors):
    """The tensors with keys in the place of queries, values in that of keys, and so on."""
    return {n: torch.cat(t.chunk(3)[1:] + t.chunk(3)[:1]) if ".qkv." in n else t
            for n, t in tensors.items()}  # fmt: skip


def test_logits_agree(name, found):
    check_complete(found)
    assert MODELS[name].library in found.libraries
    theirs = built(name)[1]
    if theirs.dtype == torch.float32:  # a sample, which was computed so
        assert_float32(lambda: logits(name, found.state_dict), [theirs])
    else:
        assert error(name, found.state_dict) < 1e-10


def test_wrong_conversions_differ(name, found):
    """The twins: two norms exchanged; queries, keys and values in another order."""
    if found.family == "deit":
        last = "ln2" if found.shapes.architecture.pooled_norm else "ln1"
        wrong = [
            permuted(found.state_dict),
            exchanged(found.state_dict, "layers.0.ln1", "layers.0.ln2"),
            exchanged(found.state_dict, "layers.1.ln1", last),
        ]
    else:
        wrong = [exchanged(found.state_dict, "layer1.0.bn1", "layer1.0.bn2")]
    for tensors in wrong:
        assert error(name, tensors) > 1e-3


def test_there_and_back_gives_the_same_bits(name, found):
    theirs = built(name)[0]
    back, _ = from_mmpretrain(found.state_dict, MODELS[name].library, found.family)
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("library", LIBRARIES)
def test_from_mmpretrain_and_back_gives_the_same_bits(name, found, library):
    """Through every library that has such a model; one that has not says so."""
    try:
        tensors, _ = from_mmpretrain(found.state_dict, library, found.family)
    except WeightsError as refusal:
        assert MODELS[name].library != library
        assert f"{library} needs" in str(refusal) or f"{library} has no place" in str(refusal)
        return
    again = recognise(Checkpoint(Path("there.pth"), dict(tensors), {}, "raw", ""))
    assert library in again.libraries
    assert again.state_dict.keys() == found.state_dict.keys()
    assert all(torch.equal(t, found.state_dict[key]) for key, t in again.state_dict.items())


def test_the_architecture_is_read_off_the_tensors(name, found):
    """All of it but the number of heads."""
    own = architecture_from_config(MODELS[name].classifier())
    assert found.shapes.differences(own) == []
    untold = ("num_heads",) if found.family == "deit" else ()
    assert found.shapes.untold == untold


def test_files_of_both_kinds(tmp_path):
    """From timm's .pth over a .safetensors of Hugging Face's back to timm: the same bits."""
    tensors = built("timm-vit")[0]
    torch.save(tensors, tmp_path / "a.pth")
    convert_file(tmp_path / "a.pth", tmp_path / "b.safetensors", "huggingface")
    done = convert_file(tmp_path / "b.safetensors", tmp_path / "c.pth", "timm")
    assert any("layer_norm_eps=1e-12" in note for note in done.notes)
    back = torch.load(tmp_path / "c.pth", weights_only=True)
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[key], tensors[key]) for key in tensors)
