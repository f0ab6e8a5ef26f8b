"""DeiT in training: activation checkpointing, freezing, stochastic depth, layers for lr decay."""

import pytest
import torch
from mmdet.registry import MODELS
from torch.autograd.graph import saved_tensors_hooks

pytestmark = pytest.mark.numeric

ARCH = dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)
WINDOWS = dict(window_size=3, global_blocks=2, with_cls_token=False)


def deit(**options):
    settings = dict(arch=ARCH, img_size=16, patch_size=4)
    settings.update(options)
    backbone = MODELS.build(dict(type="mmrbdc.DeiT", **settings))
    generator = torch.Generator().manual_seed(0)
    for parameter in backbone.parameters():
        parameter.data.normal_(0, 0.3, generator=generator)
    return backbone.double().train()


def gradients(backbone, images, seed=1):
    """Gradients of some loss, and how many elements autograd kept for them."""
    kept = []

    def pack(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept.append(tensor.numel())
        return tensor

    torch.manual_seed(seed)
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = backbone(images)[0].square().sum()
    loss.backward()
    return {name: p.grad for name, p in backbone.named_parameters()}, sum(kept)


@pytest.mark.parametrize(
    "options", [{}, WINDOWS, dict(WINDOWS, rel_pos=True)], ids=["full", "windows", "rel_pos"]
)
def test_checkpointing_changes_no_gradient(options):
    """Stochastic depth drops the same paths when a block is computed again."""
    images = torch.randn(3, 3, 20, 28, dtype=torch.float64)
    options = dict(options, drop_path_rate=0.5)
    plain, kept = gradients(deit(**options), images)
    again, kept_again = gradients(deit(**options, with_cp=True), images)
    assert plain.keys() == again.keys()
    for name in plain:
        torch.testing.assert_close(again[name], plain[name], rtol=1e-10, atol=1e-10)
    assert kept_again < 0.4 * kept
    other, _ = gradients(deit(**options), images, seed=2)
    assert not torch.allclose(other["pos_embed"], plain["pos_embed"])


def test_stochastic_depth_drops_whole_images():
    """In training an image keeps or loses a branch; in eval mode nothing is dropped."""
    backbone = deit(**WINDOWS, drop_path_rate=0.9)
    images = torch.randn(1, 3, 20, 28, dtype=torch.float64).expand(8, -1, -1, -1)
    (feature,) = backbone(images)
    assert len({tuple(image.flatten().tolist()) for image in feature}) > 1
    (feature,) = backbone.eval()(images)
    torch.testing.assert_close(feature, feature[:1].expand_as(feature), rtol=1e-10, atol=1e-10)


FROZEN = {
    -1: [],
    0: ["patch_embed", "cls_token", "pos_embed"],
    2: ["patch_embed", "cls_token", "pos_embed", "layers.0", "layers.1"],
    4: ["patch_embed", "cls_token", "pos_embed", *(f"layers.{i}" for i in range(4)), "ln1"],
}


@pytest.mark.parametrize("stages", FROZEN)
def test_frozen_stages(stages):
    """Exactly the parameters in front of the first trained block; their mode stays eval."""
    backbone = deit(frozen_stages=stages, drop_path_rate=0.5)
    frozen = [
        name
        for name, _ in backbone.named_parameters()
        if any(name == part or name.startswith(f"{part}.") for part in FROZEN[stages])
    ]
    assert [n for n, p in backbone.named_parameters() if not p.requires_grad] == frozen
    for _ in range(2):
        trained = [layer.training for layer in backbone.layers]
        assert trained == [i >= stages for i in range(4)]
        assert backbone.patch_embed.training == (stages < 0)
        assert backbone.ln1.training == (stages < 4)
        backbone.eval().train()
    if stages < 4:
        backbone(torch.randn(2, 3, 16, 16, dtype=torch.float64))[0].sum().backward()
        assert all((p.grad is None) == (n in frozen) for n, p in backbone.named_parameters())


def test_frozen_blocks_are_not_dropped():
    """The twin: without freezing the same rate of stochastic depth shows."""
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    for stages, same in ((4, True), (3, False)):
        backbone = deit(frozen_stages=stages, drop_path_rate=0.9)
        assert torch.equal(backbone(images)[0], backbone(images)[0]) == same


@pytest.mark.parametrize("options", [{}, dict(WINDOWS, rel_pos=True)], ids=["full", "rel_pos"])
@pytest.mark.parametrize("pre_norm", [False, True])
def test_every_parameter_has_a_layer(options, pre_norm):
    backbone = deit(**options, pre_norm=pre_norm)
    layers = {name: backbone.layer_of(name) for name, _ in backbone.named_parameters()}
    assert set(layers.values()) == set(range(6))
    assert layers["pos_embed"] == layers["patch_embed.projection.weight"] == 0
    assert layers["layers.0.attn.qkv.weight"] == 1 and layers["layers.3.ffn.layers.1.bias"] == 4
    assert layers["ln1.weight"] == 5
    assert all(layer == 0 for name, layer in layers.items() if "pre_norm" in name)


@pytest.mark.parametrize("name", ["layers.4.ln1.weight", "head.weight", "ln2.bias", "layers"])
def test_a_parameter_without_a_layer(name):
    with pytest.raises(ValueError, match=f"'{name}' is in no layer of a deit 4x16"):
        deit().layer_of(name)
