"""The architecture that tensors in MMPretrain's names have, as far as their shapes tell it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmrbdc.families import Architecture, DeiT, FamilyError, ResNet
from mmrbdc.families.resnet import BOTTLENECK_DEPTHS, STAGE_BLOCKS
from mmrbdc.weights.errors import WeightsError
from mmrbdc.weights.libraries.dialect import BACKBONE


@dataclass(frozen=True)
class Shapes:
    """What the shapes of a file's tensors tell.

    Attributes:
        architecture: of the tensors; a field that they do not tell has an arbitrary value.
        untold: names of those fields.
    """

    architecture: Architecture
    untold: tuple[str, ...]

    @property
    def label(self) -> str:
        """The architecture in a few words, without what is not known."""
        label = self.architecture.label
        return label.partition(",")[0] if "num_heads" in self.untold else label

    def differences(self, own: Architecture, ignore: Sequence[str] = ()) -> list[str]:
        """In what the tensors differ from an architecture, in words; empty when in nothing."""
        unknown = [*self.untold, *(["head size"] if "num_heads" in self.untold else [])]
        return own.differences(self.architecture, ignore=[*ignore, *unknown])


def shapes_of(
    family: str,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    like: Architecture | None,
    source: str,
) -> Shapes:
    """Read the architecture off tensors.

    Args:
        family: ``'deit'`` or ``'resnet'``.
        tensors: by MMPretrain's names, ``backbone.*`` and ``head.*``.
        facts: fields that no tensor shows and that are known otherwise.
        like: an architecture whose image size counts where it fits the position table; without
            one the table is taken for a square grid.
        source: the file, for messages.

    Raises:
        WeightsError: a tensor is missing without which nothing can be said, or the blocks are those
            of no known ResNet.
    """
    found = _Found(tensors, source)
    fields = _deit(found, like) if family == "deit" else _resnet(found)
    untold = ("num_heads",) if family == "deit" else ("style", "strides")
    try:
        architecture = (DeiT if family == "deit" else ResNet)(**{**fields, **facts})
    except FamilyError as error:
        raise WeightsError(f"{source}: {error}") from None
    return Shapes(architecture, tuple(name for name in untold if name not in facts))


def with_class_row(
    tensors: Mapping[str, Tensor], like: Architecture | None
) -> tuple[dict[str, Tensor], bool]:
    """Give the position table a row of zeros for a class token that it leaves out.

    timm's ``no_embed_class`` (DeiT III) adds positions to the patches alone, which a row of zeros
    does as well. A table of a square number of rows is of that kind, unless the grid of ``like``
    says otherwise.

    Returns:
        The tensors, and whether there was anything to do.
    """
    table = tensors.get(f"{BACKBONE}pos_embed")
    if table is None or table.ndim != 3 or not _has_only_class_token(tensors):
        return dict(tensors), False
    rows = table.shape[1]
    bare = math.isqrt(rows) ** 2 == rows
    if isinstance(like, DeiT) and math.prod(like.grid) in (rows, rows - 1):
        bare = math.prod(like.grid) == rows
    if not bare:
        return dict(tensors), False
    row = table.new_zeros((1, 1, table.shape[2]))
    return {**tensors, f"{BACKBONE}pos_embed": torch.cat([row, table], dim=1)}, True


def without_class_row(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """Undo :func:`with_class_row`: drop the first row where it is nothing but zeros."""
    table = tensors.get(f"{BACKBONE}pos_embed")
    if table is None or not _has_only_class_token(tensors) or table[:, 0].any():
        return dict(tensors), False
    return {**tensors, f"{BACKBONE}pos_embed": table[:, 1:]}, True


def _has_only_class_token(tensors: Mapping[str, Tensor]) -> bool:
    return f"{BACKBONE}cls_token" in tensors and f"{BACKBONE}dist_token" not in tensors


class _Found:
    """The backbone's tensors by MMPretrain's names; a missing one is an error that names it."""

    def __init__(self, tensors: Mapping[str, Tensor], source: str) -> None:
        self.tensors = tensors
        self.source = source

    def has(self, name: str) -> bool:
        return BACKBONE + name in self.tensors

    def shape(self, name: str, dimensions: int) -> torch.Size:
        if not self.has(name):
            raise WeightsError(f"{self.source} lacks {BACKBONE}{name} (MMPretrain's name of it)")
        shape = self.tensors[BACKBONE + name].shape
        if len(shape) != dimensions:
            raise WeightsError(
                f"{self.source}: {BACKBONE}{name} (MMPretrain's name of it) has the shape "
                f"{tuple(shape)}; expected {dimensions} dimensions"
            )
        return shape

    def count(self, template: str, start: int = 0) -> int:
        """Number of tensors that there are from ``template.format(start)`` on."""
        number = 0
        while self.has(template.format(start + number)):
            number += 1
        return number

    def head(self) -> dict[str, Any]:
        """The fields that the head tells; none without a head."""
        kinds = {
            "head.layers.head_dist.weight": "DeiTClsHead",
            "head.fc.weight": "LinearClsHead",
            "head.layers.head.weight": "VisionTransformerClsHead",
        }
        for name, kind in kinds.items():
            if name in self.tensors:
                return dict(head=kind, num_classes=self.tensors[name].shape[0])
        return {}


def _deit(found: _Found, like: Architecture | None) -> dict[str, Any]:
    width, colours, height, breadth = found.shape("patch_embed.projection.weight", 4)
    tokens = int(found.has("cls_token")) + int(found.has("dist_token"))
    patches = found.shape("pos_embed", 3)[1] - tokens
    return dict(
        depth=found.count("layers.{}.ln1.weight"),
        embed_dims=width,
        num_heads=1,
        feedforward_channels=found.shape("layers.0.ffn.layers.0.0.weight", 2)[0],
        patch_size=(height, breadth),
        img_size=_image_size(patches, (height, breadth), like),
        in_channels=colours,
        distilled=found.has("dist_token"),
        with_cls_token=found.has("cls_token"),
        qkv_bias=found.has("layers.0.attn.qkv.bias"),
        layer_scale=found.has("layers.0.attn.gamma1.weight"),
        pre_norm=found.has("pre_norm.weight"),
        final_norm=found.has("ln1.weight"),
        pooled_norm=found.has("ln2.weight"),
        **found.head(),
    )


def _image_size(patches: int, patch: tuple[int, int], like: Architecture | None) -> tuple[int, int]:
    if isinstance(like, DeiT) and like.patch_size == patch and math.prod(like.grid) == patches:
        return like.img_size
    side = math.isqrt(patches)
    rows, columns = (side, side) if side * side == patches else (1, patches)
    return rows * patch[0], columns * patch[1]


def _resnet(found: _Found) -> dict[str, Any]:
    deep_stem = found.has("stem.0.conv.weight")
    bottleneck = found.has("layer1.0.conv3.weight")
    inner = found.shape("layer1.0.conv1.weight", 4)[0]
    outer = found.shape(f"layer1.0.conv{3 if bottleneck else 2}.weight", 4)[0]
    stages = found.count("layer{}.0.conv1.weight", start=1)
    blocks = tuple(found.count(f"layer{s + 1}.{{}}.conv1.weight") for s in range(stages))
    head = found.head()
    head.pop("head", None)
    return dict(
        depth=_depth(blocks, bottleneck, found.source),
        base_channels=inner,
        stem_channels=found.shape("stem.2.conv.weight" if deep_stem else "conv1.weight", 4)[0],
        num_stages=stages,
        strides=(1, 2, 2, 2)[:stages],
        expansion=outer // inner,
        deep_stem=deep_stem,
        avg_down=any(found.has(f"layer{s + 1}.0.downsample.2.weight") for s in range(stages)),
        in_channels=found.shape("stem.0.conv.weight" if deep_stem else "conv1.weight", 4)[1],
        **head,
    )


def _depth(blocks: tuple[int, ...], bottleneck: bool, source: str) -> int:
    for depth, known in STAGE_BLOCKS.items():
        if known[: len(blocks)] == blocks and (depth in BOTTLENECK_DEPTHS) == bottleneck:
            return depth
    raise WeightsError(
        f"{source} is a ResNet of {blocks} {'bottleneck' if bottleneck else 'basic'} blocks; known "
        f"are the ResNets {', '.join(map(str, STAGE_BLOCKS))}"
    )
