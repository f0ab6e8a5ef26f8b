"""A grown backbone in a detector computes what MMPretrain's computes, whatever the input's size."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmpretrain.models.backbones import ResNet as MMPretrainResNet
from mmpretrain.models.backbones import VisionTransformer

pytestmark = pytest.mark.numeric

FAMILIES = ("deit", "resnet-18", "resnet-50", "resnetv1d-50")


def mmpretrain_maps(classifier, images):
    """Feature maps of MMPretrain's own backbone: the tokens as a map, or every stage's."""
    backbone = classifier.backbone
    if isinstance(backbone, VisionTransformer):
        backbone.out_type = "raw"
        (tokens,) = backbone(images)
        backbone.out_type = "cls_token"
        side = int((tokens.shape[1] - 1) ** 0.5)
        return [tokens[:, 1:].transpose(1, 2).unflatten(2, (side, side))]
    backbone.out_indices = (0, 1, 2, 3)
    maps = backbone(images)
    backbone.out_indices = (3,)
    return list(maps)


def built(config):
    backbone = MODELS.build(config)
    backbone.init_weights()
    return backbone.eval()


def worst(maps, others):
    return max(
        ((a - b).abs().max() / b.abs().max()).item() for a, b in zip(maps, others, strict=True)
    )


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_feature_maps_are_mmpretrains(grown_files, name):
    grown = grown_files[name]
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    maps = built(grown.transferred()).double()(images)
    classifier = copy.deepcopy(grown.classifier).double()
    assert worst(maps, mmpretrain_maps(classifier, images)) < 1e-10


@pytest.mark.parametrize("mistake", ["qkv order", "class token", "position table"])
@torch.no_grad()
def test_a_wrong_deit_gives_other_maps(grown_files, mistake):
    """The twin: every one of these loads without complaint and must show."""
    grown = grown_files["deit"]
    images = torch.randn(2, 3, 32, 32)
    backbone = built(grown.transferred())
    if mistake == "qkv order":
        for layer in backbone.layers:
            q, k, v = layer.attn.qkv.weight.chunk(3)
            layer.attn.qkv.weight.copy_(torch.cat([q, v, k]))
    elif mistake == "class token":
        backbone.cls_token.zero_()
    else:
        backbone.pos_embed.copy_(backbone.pos_embed.roll(1, dims=1))
    assert worst(backbone(images), mmpretrain_maps(grown.classifier, images)) > 1e-4


@torch.no_grad()
def test_a_wrong_resnet_gives_other_maps(grown_files):
    """The twin: Caffe's ResNet has the same tensors and another function."""
    grown = grown_files["resnet-50"]
    images = torch.randn(2, 3, 32, 32)
    backbone = MMPretrainResNet(
        depth=50, base_channels=4, stem_channels=4, out_indices=(0, 1, 2, 3), style="caffe"
    )
    backbone.load_state_dict(grown.backbone_tensors())
    backbone.eval()
    assert worst(backbone(images), mmpretrain_maps(grown.classifier, images)) > 1e-4


@torch.no_grad()
def test_deit_takes_any_size(grown_files):
    """The map is as large as the padded image; what is padded is zeros at the right and bottom."""
    backbone = built(grown_files["deit"].transferred()).double()
    images = torch.randn(2, 3, 37, 50, dtype=torch.float64)
    (feature,) = backbone(images)
    assert feature.shape == (2, 32, 5, 7)
    (padded,) = backbone(F.pad(images, (0, 6, 0, 3)))
    torch.testing.assert_close(feature, padded, rtol=1e-10, atol=1e-10)
    assert backbone.pos_embed.shape == (1, 17, 32)


@torch.no_grad()
def test_deit_resizes_its_position_table_in_float32(grown_files):
    """Patches resized by hand, class token apart; bicubic in float32 under autocast too."""
    backbone = built(grown_files["deit"].transferred())
    images = torch.randn(1, 3, 64, 48)
    grid = backbone.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    resized = F.interpolate(grid, size=(8, 6), mode="bicubic", align_corners=False)
    table = torch.cat([backbone.pos_embed[:, :1], resized.flatten(2).transpose(1, 2)], dim=1)
    seen = []
    handle = backbone.drop_after_pos.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.autocast("cpu", torch.bfloat16):
        backbone(images)
    backbone(images)
    handle.remove()
    patches, _ = backbone.patch_embed(images)
    tokens = torch.cat([backbone.cls_token, patches], dim=1)
    torch.testing.assert_close(seen[1], tokens + table)
    assert seen[0].dtype == torch.float32
    torch.testing.assert_close(seen[0][:, :1], (tokens + table)[:, :1])


@pytest.mark.parametrize("name", FAMILIES)
def test_modes_return_the_backbone(grown_files, name):
    backbone = MODELS.build(grown_files[name].backbone_cfg)
    assert backbone.eval() is backbone and not backbone.training
    assert backbone.train() is backbone and backbone.training


@pytest.mark.parametrize("name", FAMILIES)
def test_everything_trains(grown_files, name):
    """Nothing is frozen, and BatchNorm keeps its statistics up to date."""
    backbone = MODELS.build(grown_files[name].transferred())
    backbone.init_weights()
    backbone.train()
    before = {k: v.clone() for k, v in backbone.state_dict().items() if "running_mean" in k}
    torch.cat([level.flatten() for level in backbone(torch.randn(2, 3, 64, 64))]).sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in backbone.parameters())
    after = backbone.state_dict()
    assert all(not torch.equal(after[key], value) for key, value in before.items())
