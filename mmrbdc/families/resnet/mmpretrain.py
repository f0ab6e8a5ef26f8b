"""MMPretrain's own names of ``ResNet``, ``ResNetV1c`` and ``ResNetV1d``.

MMDetection's plain ResNet has the same ones.
"""

from mmrbdc.families.dialect import BACKBONE, Dialect
from mmrbdc.families.names import NameTable, same

BODY = ("layer{s}.{b}.conv{c}", "layer{s}.{b}.bn{c}")
"""Modules of a residual branch, which all libraries but Hugging Face's call the same."""

_MODULES = (
    "conv1",
    "bn1",
    "stem.{j}.conv",
    "stem.{j}.bn",
    *BODY,
    "layer{s}.{b}.downsample.{d}",
)

DIALECTS = (
    Dialect(
        libraries=("mmpretrain",),
        backbone=NameTable(same(*_MODULES)),
        head=NameTable(same("head.fc")),
        roots=(BACKBONE, ""),
        markers=("layer1.0.conv1.weight",),
    ),
)
