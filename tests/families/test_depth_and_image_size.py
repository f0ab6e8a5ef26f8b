"""Architectures at another depth and image size, and real ViTs grown in both."""

import copy
from fractions import Fraction

import pytest
import torch

from mmrbdc.families import (
    DeiTArchitecture,
    FamilyError,
    ResNetArchitecture,
    architecture_from_config,
)
from mmrbdc.growth import deepen, grow, resize_positions
from mmrbdc.growth.parents.depth import block_sources

pytestmark = pytest.mark.numeric

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)


def deit(zoo, layers=4, **options):
    return zoo.deit(arch=dict(ARCH, num_layers=layers), **options)


@pytest.mark.parametrize(
    "options",
    [
        dict(),
        dict(layer_scale_init_value=0.1, qkv_bias=False, pre_norm=True),
        dict(backbone="DistilledVisionTransformer", head="DeiTClsHead"),
    ],
)
def test_a_lowered_config_builds_what_the_layout_says(zoo, options):
    config = deit(zoo, **options)
    low = architecture_from_config(config).scaled(0.5).at_depth(Fraction(1, 2)).at_image_size(24)
    lowered = low.classifier_config(config)
    assert architecture_from_config(lowered) == low
    assert lowered["backbone"]["img_size"] == 24
    shapes = {name: tuple(t.shape) for name, t in zoo.build(lowered).state_dict().items()}
    assert shapes == {name: low.layout().shape(name) for name in low.layout().entries}
    assert shapes["backbone.pos_embed"][1] == 9 + (2 if "head" in options else 1)
    assert low.depth == 2


def test_an_arch_given_by_name(zoo):
    config = zoo.stock("deit/deit-base_16xb64_in1k.py")
    before = copy.deepcopy(config)
    low = architecture_from_config(config).scaled(0.25).at_depth(Fraction(1, 3)).at_image_size(112)
    arch = low.classifier_config(config).backbone.arch
    assert dict(arch) == dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768)
    assert low.grid == (7, 7) and low.label == "deit 4x192, 3 heads"
    assert config == before


def test_what_does_not_change_is_left_out_of_the_config(zoo):
    config = deit(zoo)
    del config["backbone"]["img_size"]
    wide = architecture_from_config(config)
    assert "img_size" not in wide.scaled(0.5).classifier_config(config)["backbone"]
    assert wide.at_depth(Fraction(1)).at_image_size(224) == wide


@pytest.mark.parametrize("fraction", [Fraction(1, 3), Fraction(1, 8)])
def test_blocks_that_are_not_whole(zoo, fraction):
    with pytest.raises(FamilyError, match=rf"4 x {fraction} = {4 * fraction} layers"):
        architecture_from_config(deit(zoo)).at_depth(fraction)


def test_a_size_that_pads_a_patch(zoo):
    with pytest.raises(FamilyError, match=r"img_size=20 is not a multiple .*\(8, 8\)"):
        architecture_from_config(deit(zoo)).at_image_size(20)


def test_a_resnet_has_an_image_size_but_no_depth_to_grow(zoo):
    arch = architecture_from_config(zoo.resnet())
    assert isinstance(arch, ResNetArchitecture)
    assert arch.at_image_size(100) == arch == arch.at_depth(Fraction(1)) and arch.grid is None
    with pytest.raises(FamilyError, match="depth growth needs blocks that are all alike"):
        arch.at_depth(Fraction(1, 2))


def test_features_of_a_numbered_block_do_not_follow_the_depth(zoo):
    config = deit(zoo, out_indices=[3])
    with pytest.raises(FamilyError, match=r"out_indices=\[3\] is not supported"):
        architecture_from_config(config).at_depth(Fraction(1, 2)).classifier_config(config)


@pytest.mark.parametrize(("layers", "size"), [(4, 32), (2, 32), (4, 24), (2, 24)])
def test_parents_fit_only_when_asked_for(zoo, layers, size):
    child = architecture_from_config(deit(zoo))
    half = architecture_from_config(deit(zoo, layers, img_size=size)).scaled(0.5)
    child.check_parents([half, half], depth=True, positions=True)
    for depth, positions in ((False, True), (True, False)):
        fits = (depth or layers == 4) and (positions or size == 32)
        if fits:
            child.check_parents([half, half], depth=depth, positions=positions)
            continue
        option = "--depth-operator" if not depth else "--resize-positions"
        with pytest.raises(FamilyError, match=rf"a\.pth.*{option}"):
            child.check_parents([half, half], ["a.pth", "b.pth"], depth=depth, positions=positions)


def test_a_deeper_parent_never_fits(zoo):
    child, deep = (architecture_from_config(deit(zoo, layers)) for layers in (4, 6))
    with pytest.raises(FamilyError, match="it is deeper, and depth only grows"):
        child.check_parents([deep.scaled(0.5)] * 2, depth=True)
    with pytest.raises(FamilyError, match="in width only$"):
        child.check_parents([deep.scaled(0.5)] * 2)


@pytest.mark.parametrize(("depth", "size"), [(4, (32, 32)), (2, (24, 24)), (1, (48, 48))])
def test_depth_and_grid_of_bare_tensors(depth, size):
    child = DeiTArchitecture(4, 32, 4, 64, patch_size=(8, 8), img_size=(32, 32), num_classes=5)
    own = DeiTArchitecture(
        depth, 16, 2, 32, patch_size=(8, 8), img_size=size, num_classes=5
    ).layout()
    state = {name: torch.empty(own.shape(name)) for name in own.entries}
    found = child.fitted(state, "a.pth")
    assert (found.depth, found.img_size, found.embed_dims) == (depth, size, 32)


@pytest.mark.parametrize("tokens", [1, 12])
def test_a_table_without_a_grid(tokens):
    child = DeiTArchitecture(4, 32, 4, 64, patch_size=(8, 8), img_size=(32, 32), num_classes=5)
    state = {"backbone.pos_embed": torch.empty(1, tokens, 32)}
    with pytest.raises(FamilyError, match=rf"a\.pth: .* {tokens} tokens.*--parent-config"):
        child.fitted(state, "a.pth")


def random_images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()


def logits_by_hand(model, images, sources):
    """Logits of a ViT that runs its own layers in the order ``sources``."""
    layers = model.backbone.layers
    model.backbone.layers = torch.nn.ModuleList([layers[source] for source in sources])
    model.backbone.out_indices = [len(sources) - 1]
    with torch.no_grad():
        return model(images)


@pytest.mark.parametrize("operator", ["stack", "adjacent"])
def test_a_deeper_vit_runs_its_parents_layers_in_that_order(zoo, operator):
    config = deit(zoo)
    deep = architecture_from_config(config)
    shallow = deep.at_depth(Fraction(1, 2))
    parent = zoo.build(shallow.classifier_config(config), seed=1).double()
    child = zoo.build(config).double()
    child.load_state_dict(deepen(parent.state_dict(), shallow.layout(), deep.layout(), operator))
    images = random_images()
    with torch.no_grad():
        logits, before = child(images), parent(images)
    assert not torch.allclose(logits, before, atol=1e-3), "depth growth keeps no function"
    other = "adjacent" if operator == "stack" else "stack"
    for name, close in ((operator, True), (other, False)):
        copied = copy.deepcopy(parent)
        expected = logits_by_hand(copied, images, block_sources(name, 2, 4))
        assert torch.allclose(logits, expected, rtol=1e-10, atol=1e-10) == close


def test_a_resized_vit_answers_large_images_as_its_parent_does(zoo):
    """MMPretrain resizes the parent's table on the fly."""
    config = deit(zoo)
    large = architecture_from_config(config)
    small = large.at_image_size(24)
    parent = zoo.build(small.classifier_config(config), seed=1).double()
    state = resize_positions(parent.state_dict(), small.layout(), small.grid, large.grid)
    child = zoo.build(config).double()
    child.load_state_dict(state)
    images = random_images()
    with torch.no_grad():
        assert torch.allclose(child(images), parent(images), rtol=1e-10, atol=1e-10)


def test_copies_of_one_model_keep_its_logits_when_it_was_deepened_first(zoo):
    """Coupling is exact for copies at whatever depth it starts from."""
    config = deit(zoo)
    deep = architecture_from_config(config)
    half = deep.scaled(0.5)
    shallow = half.at_depth(Fraction(1, 2))
    parent = zoo.build(shallow.classifier_config(config), seed=1).double().state_dict()
    deepened = deepen(parent, shallow.layout(), half.layout(), "stack")
    narrow, child = (zoo.build(c).double() for c in (half.classifier_config(config), config))
    narrow.load_state_dict(deepened)
    child.load_state_dict(grow([deepened] * 2, deep.layout(), allow_equal=True).state_dict)
    assert zoo.mean_error(child, [narrow], random_images()) < 1e-10
