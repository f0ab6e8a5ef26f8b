"""DeiT with full attention is MMPretrain's ViT, at the pretraining size and at others."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from tests.numerics import assert_float32

pytestmark = pytest.mark.numeric

ARCH = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=64)
VARIANTS = {
    "class token": {},
    "no class token": dict(with_cls_token=False),
    "layer scale, no qkv bias": dict(layer_scale_init_value=0.1, qkv_bias=False),
    "pre-norm, no final norm": dict(pre_norm=True, final_norm=False),
}


def pair_of(variant, **options):
    """MMPretrain's ViT and ours with the same random weights, float64."""
    shape = dict(arch=ARCH, img_size=32, patch_size=8, **VARIANTS[variant])
    theirs = MODELS.build(dict(type="mmpretrain.VisionTransformer", out_type="featmap", **shape))
    theirs.double().eval()  # returns None
    for parameter in theirs.parameters():
        parameter.data.normal_(0, 0.3)
    ours = MODELS.build(dict(type="mmrbdc.DeiT", **shape, **options)).double().eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def difference(one, other):
    return ((one - other).abs().max() / other.abs().max()).item()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [(32, 32), (48, 24), (37, 50)])
@torch.no_grad()
def test_parity(variant, size):
    """Sizes: the pretraining's, another, and one that the patch does not divide."""
    theirs, ours = pair_of(variant)
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    (expected,), (feature,) = theirs(images), ours(images)
    assert difference(feature, expected) < 1e-10
    (single,) = copy.deepcopy(ours).float()(images.float())
    assert_float32(lambda: ours(images)[0], [single])


def swap_queries_and_keys(ours):
    for layer in ours.layers:
        q, k, v = layer.attn.qkv.weight.data.chunk(3)
        layer.attn.qkv.weight.data = torch.cat([k, v, q])


def resize_bilinearly(ours):
    ours.interpolate_mode = "bilinear"


def turn_the_table(ours):
    grid = ours.pos_embed.data[:, 1:].unflatten(1, (4, 4))
    ours.pos_embed.data[:, 1:] = grid.transpose(1, 2).flatten(1, 2)


def forget_the_class_token(ours):
    ours.cls_token.data.zero_()


@pytest.mark.parametrize(
    "mistake",
    [swap_queries_and_keys, resize_bilinearly, turn_the_table, forget_the_class_token],
    ids=lambda mistake: mistake.__name__,
)
@torch.no_grad()
def test_a_mistake_shows(mistake):
    """The twin."""
    theirs, ours = pair_of("class token")
    mistake(ours)
    images = torch.randn(1, 3, 48, 24, dtype=torch.float64)
    assert difference(ours(images)[0], theirs(images)[0]) > 1e-3


@torch.no_grad()
def test_one_window_over_the_image_is_full_attention():
    theirs, ours = pair_of("no class token", window_size=6, global_blocks=0)
    images = torch.randn(2, 3, 48, 24, dtype=torch.float64)
    assert difference(ours(images)[0], theirs(images)[0]) < 1e-10


@pytest.mark.parametrize("variant", ["class token", "no class token"])
@torch.no_grad()
def test_a_half_precision_table_is_resized_in_float32(variant):
    """The table as resized in float32 and rounded once, not resized in bfloat16."""
    _, ours = pair_of(variant)
    ours.to(torch.bfloat16)
    seen = []
    ours.drop_after_pos.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    ours(torch.zeros(1, 3, 64, 48, dtype=torch.bfloat16))
    extra = ours.num_extra_tokens
    grid = ours.pos_embed[:, extra:].transpose(1, 2).unflatten(2, (4, 4))
    resized = F.interpolate(grid.float(), size=(8, 6), mode="bicubic").bfloat16()
    patches = ours.patch_embed.projection.bias + resized.flatten(2).transpose(1, 2)
    torch.testing.assert_close(seen[0][:, extra:], patches, rtol=0, atol=0)


def test_the_same_random_start():
    """One seed gives MMPretrain's ViT and ours the same weights, whatever the windows."""
    states = []
    init_cfg = [dict(type="TruncNormal", layer="Linear", std=0.02)]
    for kind, options in (
        ("mmpretrain.VisionTransformer", dict(out_type="featmap")),
        ("mmrbdc.DeiT", dict(window_size=2, global_blocks=1)),
    ):
        torch.manual_seed(3)
        shape = dict(arch=ARCH, img_size=32, patch_size=8, with_cls_token=False)
        backbone = MODELS.build(dict(type=kind, **shape, **options, init_cfg=init_cfg))
        backbone.init_weights()
        states.append(backbone.state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
