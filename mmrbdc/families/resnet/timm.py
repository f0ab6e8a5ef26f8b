"""timm's ``resnet*``, ``resnet*c`` and ``resnet*d``: names, and what ``config.json`` says.

torchvision's ResNet has the names of timm's plain one.
"""

from typing import Any

from mmrbdc.families.dialect import Dialect
from mmrbdc.families.family import WrittenModel
from mmrbdc.families.names import NameTable, same
from mmrbdc.families.resnet.architecture import ResNetArchitecture, usual_expansion
from mmrbdc.families.resnet.mmpretrain import BODY

_DEEP_STEM = (
    ("conv1.0", "stem.0.conv"),
    ("conv1.1", "stem.0.bn"),
    ("conv1.3", "stem.1.conv"),
    ("conv1.4", "stem.1.bn"),
    ("conv1.6", "stem.2.conv"),
    ("bn1", "stem.2.bn"),
)
# V1d: timm has an identity in the place of the pooling where the stride is 1, MMPretrain nothing.
_POOLED_SHORTCUTS = (
    ("layer1.{b}.downsample.1", "layer1.{b}.downsample.0"),
    ("layer1.{b}.downsample.2", "layer1.{b}.downsample.1"),
    *same(*(f"layer{s}.{{b}}.downsample.{d}" for s in (2, 3, 4) for d in (1, 2))),
)
_PLAIN_SHORTCUTS = same("layer{s}.{b}.downsample.0", "layer{s}.{b}.downsample.1")
_BODY = same(*BODY)
_MARKER = "layer1.0.conv1.weight"
_V1_5 = {"style": "pytorch", "strides": (1, 2, 2, 2)}
_FC = NameTable([("fc", "head.fc")])

DIALECTS = (
    Dialect(
        libraries=("torchvision", "timm"),
        backbone=NameTable([*same("conv1", "bn1"), *_BODY, *_PLAIN_SHORTCUTS]),
        head=_FC,
        markers=(_MARKER, "conv1.weight"),
        needs=("conv1.weight",),
        facts=_V1_5,
    ),
    Dialect(
        libraries=("timm",),
        backbone=NameTable([*_DEEP_STEM, *_BODY, *_PLAIN_SHORTCUTS]),
        head=_FC,
        markers=(_MARKER, "conv1.0.weight"),
        needs=("stem.0.conv.weight",),
        facts=_V1_5,
    ),
    Dialect(
        libraries=("timm",),
        backbone=NameTable([*_DEEP_STEM, *_BODY, *_POOLED_SHORTCUTS]),
        head=_FC,
        markers=(_MARKER, "conv1.0.weight"),
        needs=("stem.0.conv.weight",),
        facts=_V1_5,
    ),
)


def config(model: WrittenModel[ResNetArchitecture]) -> tuple[dict[str, Any], list[str]]:
    """What timm's ``create_model`` needs, and notes for a reader."""
    own = model.architecture
    if own.expansion != usual_expansion(own.depth) or not (
        own.deep_stem or own.stem_channels == 64
    ):
        return {}, [
            "timm's create_model builds no ResNet of this stem or expansion: config.json names no "
            "architecture"
        ]
    arguments: dict[str, Any] = dict(
        in_chans=own.in_channels, channels=[own.base_channels * 2**i for i in range(4)]
    )
    if own.deep_stem:
        arguments |= dict(stem_type="deep", stem_width=own.stem_channels // 2)
        arguments |= dict(avg_down=own.avg_down)
    name = f"resnet{own.depth}"
    return {"architecture": name, "global_pool": "avg", "model_args": arguments}, []
