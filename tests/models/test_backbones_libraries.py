"""A detector's backbone takes files of other libraries and computes their features."""

import pytest
import torch
from mmdet.registry import MODELS as MMDET
from timm.models.resnet import Bottleneck
from timm.models.resnet import ResNet as TimmResNet
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torch import nn
from torchvision.models import resnet

from mmrbdc.weights import WeightsError
from tests.numerics import assert_float32
from tests.weights.library_models import (
    HF_NORM,
    MODELS,
    TIMM_RESNET,
    TIMM_VIT,
    kept,
    randomise,
    sample_images,
)

pytestmark = pytest.mark.numeric

RESNET50 = dict(depth=50, base_channels=8)


def arch(width, heads):
    return dict(embed_dims=width, num_layers=2, num_heads=heads, feedforward_channels=2 * width)


DEIT = dict(type="mmrbdc.DeiT", arch=arch(32, 4), img_size=32, patch_size=8)


def map_of(tokens):
    """Patch tokens (N, 17, C) behind the class token as a map (N, C, 4, 4)."""
    return tokens[:, 1:].unflatten(1, (4, 4)).permute(0, 3, 1, 2)


def timm_vit():
    model = TimmViT(**TIMM_VIT)
    return model, lambda images: map_of(model.forward_features(images))


def timm_resnet50():
    model = TimmResNet(Bottleneck, (3, 4, 6, 3), **TIMM_RESNET)
    return model, model.forward_features


def timm_resnet50d():
    deep = dict(stem_type="deep", stem_width=8, avg_down=True)
    model = TimmResNet(Bottleneck, (3, 4, 6, 3), **TIMM_RESNET, **deep)
    return model, model.forward_features


def torchvision_resnet50():
    model = resnet.ResNet(resnet.Bottleneck, [3, 4, 6, 3], width_per_group=8)
    return model, nn.Sequential(*list(model.children())[:-2])


LIVE = {
    "timm-vit": (timm_vit, DEIT),
    "timm-resnet50": (timm_resnet50, dict(type="mmrbdc.ResNet", **RESNET50)),
    "timm-resnet50d": (timm_resnet50d, dict(type="mmrbdc.ResNetV1d", **RESNET50, stem_channels=16)),
    "torchvision-resnet50": (
        torchvision_resnet50,
        dict(type="mmrbdc.ResNet", **RESNET50, expansion=32),
    ),
}


def filled(path, backbone, **options):
    """The detector's backbone, filled by Transferred."""
    init_cfg = dict(type="mmrbdc.Transferred", checkpoint=str(path), **options)
    built = MMDET.build(dict(backbone, init_cfg=init_cfg))
    built.init_weights()
    return built.eval()


def features(backbone):
    with torch.no_grad():
        return backbone.double()(sample_images().double())[-1]


@pytest.mark.parametrize("name", LIVE)
def test_features_are_the_librarys(name, tmp_path):
    make, config = LIVE[name]
    model, compute = make()
    randomise(model.eval())
    torch.save(model.state_dict(), tmp_path / "a.pth")
    backbone = filled(tmp_path / "a.pth", config)
    with torch.no_grad():
        model.double()
        expected = compute(sample_images().double())
    torch.testing.assert_close(features(backbone), expected, rtol=1e-10, atol=1e-10)
    report = backbone.load_report
    assert name.partition("-")[0] in report["checkpoint"]["library"]
    assert report["load"]["share"] == 1 and report["load"]["expected_new"] == []
    assert len(report["left_behind"]) == 2 and all("head" in n for n in report["left_behind"])


def test_features_are_hugging_faces(tmp_path):
    """With its epsilon; with MMPretrain's the last digits differ, and the report says so."""
    tensors, hidden = kept("vit-backbone")
    torch.save(tensors, tmp_path / "a.bin")
    backbone = filled(tmp_path / "a.bin", dict(DEIT, arch=arch(16, 2), **HF_NORM))
    assert_float32(lambda: features(backbone), [map_of(hidden)])  # computed in float32
    assert any("1e-12" in note for note in backbone.load_report["notes"])
    assert backbone.load_report["left_behind"] == ["pooler.dense.bias", "pooler.dense.weight"]


def test_tokens_are_left_behind_by_name(tmp_path):
    """A distilled DeiT for windows: both tokens and their rows stay out, the report lists them."""
    torch.save({"model": MODELS["timm-deit-distilled"].build()[0]}, tmp_path / "a.pth")
    backbone = filled(tmp_path / "a.pth", dict(DEIT, with_cls_token=False))
    assert {"cls_token", "dist_token"} <= set(backbone.load_report["left_behind"])
    assert backbone.pos_embed.shape == (1, 16, 32)
    with pytest.raises(WeightsError, match=r"a\.pth.*distill"):
        filled(tmp_path / "a.pth", DEIT)


@pytest.mark.parametrize(
    "name, config, message",
    [
        ("timm-resnet50", DEIT, r"resnet-50, base 8 \(.*timm's names\).*family is resnet instead"),
        ("timm-vit", dict(type="mmrbdc.ResNet", **RESNET50), "family is deit instead of resnet"),
        ("timm-vit", dict(DEIT, arch=arch(16, 2)), "embed_dims is 32 instead of 16"),
        ("timm-vit", dict(DEIT, img_size=64), r"img_size is \(32, 32\) instead of \(64, 64\)"),
        ("timm-deit3", DEIT, "layer_scale is True instead of False"),
        (
            "timm-resnet50",
            dict(type="mmrbdc.ResNet", **RESNET50, style="caffe"),
            "style is pytorch instead of caffe",
        ),
        (
            "timm-resnet50d",
            dict(type="mmrbdc.ResNet", **RESNET50),
            "deep_stem is True instead of False",
        ),
    ],
)
def test_a_file_of_another_architecture_is_refused(name, config, message, tmp_path):
    torch.save(MODELS[name].build()[0], tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=message):
        filled(tmp_path / "a.pth", config)


def test_a_given_prefix(tmp_path):
    tensors = MODELS["timm-vit"].build()[0]
    torch.save({f"teacher.{n}": t for n, t in tensors.items()}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"begin with 'teacher\.', which is not known"):
        filled(tmp_path / "a.pth", DEIT)
    filled(tmp_path / "a.pth", DEIT, prefix="teacher.")
