"""Centred and scaled streams: the same function, on MMPretrain's own models."""

import mmpretrain.models  # noqa: F401  (fills the registry)
import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from numerics import assert_float32
from torch import nn

from mmrbdc.families import architecture_from_config
from mmrbdc.growth import (
    GrowthError,
    centre_stream,
    check_streams,
    matching_factors,
    scale_stream,
    stream_norms,
)

pytestmark = pytest.mark.numeric

POOLED = dict(out_type="avg_featmap", head="LinearClsHead")
VARIANTS = {
    "plain": dict(),
    "qkv_bias": dict(qkv_bias=False),
    "distilled": dict(backbone="DistilledVisionTransformer", head="DeiTClsHead"),
    "pooled": dict(POOLED, final_norm=False, with_cls_token=False),
}
SCALED = {**VARIANTS, "layer_scale": dict(layer_scale_init_value=0.1)}
WRITERS = [
    "backbone.cls_token",
    "backbone.pos_embed",
    "backbone.patch_embed.projection.weight",
    "backbone.patch_embed.projection.bias",
    "backbone.layers.0.attn.proj.weight",
    "backbone.layers.0.attn.proj.bias",
    "backbone.layers.1.ffn.layers.1.weight",
    "backbone.layers.1.ffn.layers.1.bias",
]
"""Of the plain variant, by hand; one layer's stand for the other's."""


def config(backbone="VisionTransformer", head="VisionTransformerClsHead", **options):
    arch = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
    return dict(
        type="ImageClassifier",
        backbone=dict(type=backbone, arch=arch, img_size=16, patch_size=8, **options),
        head=dict(type=head, num_classes=5, in_channels=16),
    )


class Model:
    """A random classifier, its layout, and what it answers with other weights."""

    def __init__(self, eps=0.0, **options):
        self.config = config(**options)
        self.layout = architecture_from_config(self.config).layout()
        with DefaultScope.overwrite_default_scope("mmpretrain"):
            self.module = MODELS.build(self.config).double().eval()
        draw = torch.Generator().manual_seed(3)
        for name, tensor in self.module.state_dict().items():
            spread = 0.3 if tensor.ndim == 1 or "embed" in name else tensor.shape[-1] ** -0.5
            centre = 1.0 if tensor.ndim == 1 and name.endswith("weight") else 0.1
            tensor.normal_(centre, spread, generator=draw)
        for module in self.module.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = eps
        self.state = {name: value.clone() for name, value in self.module.state_dict().items()}
        self.images = torch.randn(3, 3, 16, 16, generator=draw, dtype=torch.float64)

    def logits(self, state, dtype=torch.float64):
        self.module.load_state_dict(state)
        with torch.no_grad():
            logits = self.module.to(dtype)(self.images.to(dtype))
        self.module.double()
        return logits

    def error(self, state):
        """Largest change of a logit, relative."""
        before, after = self.logits(self.state), self.logits(state)
        return float((after - before).abs().max() / before.abs().max())

    def streams(self, state):
        """What every norm of the stream reads, (..., channels)."""
        seen, hooks = [], []
        for name in stream_norms(self.layout):
            norm = self.module.get_submodule(name)
            hooks.append(norm.register_forward_pre_hook(lambda _, args: seen.append(args[0])))
        self.logits(state)
        for hook in hooks:
            hook.remove()
        return seen


def largest_mean(streams):
    return max(float(stream.mean(-1).abs().max()) for stream in streams)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_centring_keeps_the_function_and_takes_every_mean(options):
    model = Model(eps=1e-6, **options)
    centred = centre_stream(model.state, model.layout)
    assert model.error(centred) < 1e-10
    assert_float32(lambda: model.logits(centred), [model.logits(centred, torch.float32)])
    assert largest_mean(model.streams(model.state)) > 0.05
    streams = model.streams(centred)
    assert largest_mean(streams) < 1e-12
    layers = 2
    assert len(streams) == 2 * layers + 1


@pytest.mark.parametrize("forgotten", WRITERS)
def test_twin_one_writer_not_centred(forgotten):
    model = Model()
    centred = centre_stream(model.state, model.layout)
    assert not torch.equal(centred[forgotten], model.state[forgotten])
    centred[forgotten] = model.state[forgotten]
    assert largest_mean(model.streams(centred)) > 1e-3


@pytest.mark.parametrize(
    "name", ["backbone.layers.0.ln1.bias", "backbone.ln1.weight", "backbone.layers.1.attn.qkv.bias"]
)
def test_twin_tensors_that_do_not_write_the_stream_centred_too(name):
    model = Model()
    centred = centre_stream(model.state, model.layout)
    assert torch.equal(centred[name], model.state[name])
    centred[name] = centred[name] - centred[name].mean()
    assert model.error(centred) > 1e-4


@pytest.mark.parametrize("factor", [0.25, 3.0])
@pytest.mark.parametrize("options", SCALED.values(), ids=SCALED)
def test_scaling_keeps_the_function_and_scales_every_stream(options, factor):
    """Without eps exactly."""
    model = Model(**options)
    scaled = scale_stream(model.state, model.layout, factor)
    assert model.error(scaled) < 1e-10
    assert_float32(lambda: model.logits(scaled), [model.logits(scaled, torch.float32)])
    pairs = zip(model.streams(model.state), model.streams(scaled), strict=True)
    assert all(torch.allclose(factor * before, after, rtol=1e-9) for before, after in pairs)


def test_eps_makes_scaling_inexact_as_far_as_it_is_said_to():
    model = Model(eps=1e-3)
    factor = 0.5
    variance = min(float(s.var(-1, correction=0).min()) for s in model.streams(model.state))
    error = model.error(scale_stream(model.state, model.layout, factor))
    assert 1e-6 < error < 10 * 1e-3 * (1 / factor**2 - 1) / (2 * variance)


@pytest.mark.parametrize("forgotten", WRITERS)
def test_twin_one_writer_not_scaled(forgotten):
    model = Model()
    scaled = scale_stream(model.state, model.layout, 3.0)
    scaled[forgotten] = model.state[forgotten]
    assert model.error(scaled) > 1e-3


def test_twin_layer_scales_scaled_too():
    model = Model(layer_scale_init_value=0.1)
    scaled = scale_stream(model.state, model.layout, 3.0)
    for name in scaled:
        if ".gamma" in name:
            scaled[name] = scaled[name] * 3.0
    assert model.error(scaled) > 1e-3


def test_what_was_given_is_left_as_it_was():
    model = Model()
    before = {name: value.clone() for name, value in model.state.items()}
    scale_stream(centre_stream(model.state, model.layout), model.layout, 2.0)
    assert all(torch.equal(value, before[name]) for name, value in model.state.items())


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(final_norm=False), "'head.layers.head.weight' reads 'stream' without a LayerNorm"),
        (dict(pre_norm=True), "norm 'backbone.pre_norm' writes 'stream' itself"),
        (POOLED, "norm 'backbone.ln1' writes 'stream' itself"),
    ],
)
def test_a_model_whose_function_would_change_is_refused(options, message):
    model = Model(**options)
    for change in (centre_stream, lambda *pair: scale_stream(*pair, 2.0)):
        with pytest.raises(GrowthError, match=message):
            change(model.state, model.layout)
    with pytest.raises(GrowthError, match=message):
        check_streams(model.layout)


def test_a_layer_scale_cannot_be_centred():
    model = Model(layer_scale_init_value=0.1)
    with pytest.raises(GrowthError, match=r"'backbone.layers.0.attn.gamma1.weight' scales"):
        centre_stream(model.state, model.layout)
    with pytest.raises(GrowthError, match="gamma1"):
        check_streams(model.layout)


def test_batchnorm_needs_none_of_it():
    resnet = dict(
        type="ImageClassifier",
        backbone=dict(type="ResNet", depth=18, base_channels=4, stem_channels=4),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=5, in_channels=32),
    )
    with pytest.raises(GrowthError, match="BatchNorm works channel by channel"):
        check_streams(architecture_from_config(resnet).layout())


def test_a_layout_of_another_width_is_refused():
    model = Model()
    wide = architecture_from_config(model.config).scaled(2).layout()
    with pytest.raises(GrowthError, match="'stream' is 16 wide, its layout's 32"):
        centre_stream(model.state, wide)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_factor_that_is_not_positive_is_refused(factor):
    model = Model()
    with pytest.raises(GrowthError, match="factor above 0"):
        scale_stream(model.state, model.layout, factor)


VARIANCES = torch.rand(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1


def disagreement(factors):
    """How far the scaled variances are from their best common values, in log space."""
    logs = (VARIANCES * factors[:, None] ** 2).log()
    return float((logs - logs.mean(0)).square().sum())


def test_matching_factors_are_the_least_squares_solution():
    factors = matching_factors(VARIANCES)
    assert factors.log().sum().abs() < 1e-12
    draw = torch.Generator().manual_seed(0)
    for _ in range(20):
        nudge = torch.randn(4, generator=draw, dtype=torch.float64) * 1e-2
        assert disagreement(factors) < disagreement(factors * (nudge - nudge.mean()).exp())


def test_twin_ratios_of_mean_variances_are_not():
    means = VARIANCES.mean(1)
    ratios = (means.log().mean() - means.log()).div(2).exp()
    assert disagreement(matching_factors(VARIANCES)) < disagreement(ratios) - 1e-3


def test_parents_that_differ_by_a_factor_agree_afterwards():
    scales = torch.tensor([1.0, 2.0, 0.5])
    variances = VARIANCES[:1] * scales[:, None] ** 2
    assert torch.allclose(matching_factors(variances), 1 / scales.double())


@pytest.mark.parametrize(
    "variances, message",
    [
        (torch.ones(1, 3), r"shape \(1, 3\)"),
        (torch.ones(3), r"shape \(3,\)"),
        (torch.tensor([[1.0, 1.0], [1.0, 0.0]]), "parent 1 has variance 0.0 in front of norm 1"),
        (torch.tensor([[float("nan")], [1.0]]), "parent 0 has variance nan"),
    ],
)
def test_variances_that_cannot_be_matched_are_refused(variances, message):
    with pytest.raises(GrowthError, match=message):
        matching_factors(variances)
