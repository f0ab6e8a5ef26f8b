"""MMPretrain's own names, ``VisionTransformer`` and ``ResNet`` with ``ResNetV1c`` and ``V1d``.

MMDetection's plain ResNet has the same ones. The files of this package are of this kind.
"""

from mmrbdc.weights.libraries.dialect import BACKBONE, Dialect
from mmrbdc.weights.libraries.names import NameTable

_VIT_MODULES = (
    "patch_embed.projection",
    "pre_norm",
    "layers.{i}.ln1",
    "layers.{i}.attn.qkv",
    "layers.{i}.attn.proj",
    "layers.{i}.attn.gamma1",
    "layers.{i}.ln2",
    "layers.{i}.ffn.layers.0.0",
    "layers.{i}.ffn.layers.1",
    "layers.{i}.ffn.gamma2",
    "ln1",
    "ln2",
)
_VIT_TENSORS = ("cls_token", "dist_token", "pos_embed")
_VIT_HEAD = ("head.layers.head", "head.layers.head_dist", "head.fc")

RESNET_BODY = ("layer{s}.{b}.conv{c}", "layer{s}.{b}.bn{c}")
"""Modules of a residual branch, which all libraries but Hugging Face's call the same."""

_RESNET_MODULES = (
    "conv1",
    "bn1",
    "stem.{j}.conv",
    "stem.{j}.bn",
    *RESNET_BODY,
    "layer{s}.{b}.downsample.{d}",
)


def same(*names: str) -> list[tuple[str, str]]:
    """Return the pairs of names that two libraries share."""
    return [(name, name) for name in names]


DIALECTS = (
    Dialect(
        libraries=("mmpretrain",),
        family="deit",
        backbone=NameTable(same(*_VIT_MODULES), same(*_VIT_TENSORS)),
        head=NameTable(same(*_VIT_HEAD)),
        roots=(BACKBONE, ""),
        markers=("patch_embed.projection.weight", "layers.0.ln1.weight"),
    ),
    Dialect(
        libraries=("mmpretrain",),
        family="resnet",
        backbone=NameTable(same(*_RESNET_MODULES)),
        head=NameTable(same("head.fc")),
        roots=(BACKBONE, ""),
        markers=("layer1.0.conv1.weight",),
    ),
)
