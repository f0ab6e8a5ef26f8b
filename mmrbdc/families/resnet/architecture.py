"""ResNet: MMPretrain's ``ResNet`` 18 to 152, ``ResNetV1c`` and ``ResNetV1d``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from mmrbdc.families.base import Architecture
from mmrbdc.families.errors import FamilyError
from mmrbdc.families.options import check_head, refuse_options, type_name
from mmrbdc.growth import Axis, Entry, Layout, Space

STAGE_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Residual blocks of each stage, by depth."""

BOTTLENECK_DEPTHS = (50, 101, 152)
NORM_OPTIONS = ("type", "requires_grad", "eps", "momentum")
"""Options of BatchNorm that leave its tensors as they are."""


@dataclass(frozen=True)
class ResNetArchitecture(Architecture):
    """A ResNet: width means more channels in every layer.

    Attributes:
        depth: 18, 34, 50, 101 or 152.
        base_channels: inner width of the first stage; each stage doubles it.
        stem_channels: width of the stem.
        num_stages: stages, 1 to 4.
        strides: stride of the first block of each stage.
        expansion: outer over inner width of a block.
        deep_stem: three 3x3 convolutions (V1c, V1d) instead of one 7x7.
        avg_down: pooling in the shortcut (V1d).
        style: which convolution of a bottleneck has the stride.
        in_channels: colours.
        num_classes: classes.
    """

    family: ClassVar[str] = "resnet"
    backbone_types: ClassVar[tuple[str, ...]] = ("ResNet", "ResNetV1c", "ResNetV1d")
    width_fields: ClassVar[tuple[str, ...]] = ("base_channels", "stem_channels")
    inner_fields: ClassVar[tuple[str, ...]] = ("base_channels", "expansion")
    head_of_one_class: ClassVar[Mapping[str, Any]] = {
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearClsHead", "num_classes": 1},
    }

    depth: int
    base_channels: int = 64
    stem_channels: int = 64
    num_stages: int = 4
    strides: tuple[int, ...] = (1, 2, 2, 2)
    expansion: int = 4
    deep_stem: bool = False
    avg_down: bool = False
    style: str = "pytorch"
    in_channels: int = 3
    num_classes: int = 1000

    def __post_init__(self) -> None:
        if self.depth not in STAGE_BLOCKS:
            raise FamilyError(f"depth={self.depth} of ResNet is unknown; known: {[*STAGE_BLOCKS]}")
        if len(self.strides) != self.num_stages:
            raise FamilyError(
                f"strides={self.strides} of ResNet do not fit num_stages={self.num_stages}"
            )
        if self.deep_stem and self.stem_channels % 2:
            raise FamilyError(
                f"stem_channels={self.stem_channels} of a deep stem is odd, but its first two "
                "convolutions have half of them; choose an even number"
            )

    @property
    def width(self) -> int:
        """Inner width of the first stage."""
        return self.base_channels

    @property
    def feature_channels(self) -> int:
        """Channels of the last feature map."""
        return self._stage_channels(self.num_stages - 1)

    @property
    def label(self) -> str:
        """For example ``resnet-50, base 32``."""
        variant = ("v1d" if self.avg_down else "v1c") if self.deep_stem else ""
        stages = "" if self.num_stages == 4 else f", {self.num_stages} stages"
        usual = self.expansion == usual_expansion(self.depth)
        inner = "" if usual else f", expansion {self.expansion}"
        return f"resnet{variant}-{self.depth}, base {self.base_channels}{inner}{stages}"

    @classmethod
    def from_config(cls, model_cfg: Mapping[str, Any]) -> "ResNetArchitecture":
        """Read the architecture off the config of an MMPretrain ``ImageClassifier``.

        Raises:
            FamilyError: an option whose tensors the family does not know.
        """
        backbone, neck, head = (model_cfg.get(part) for part in ("backbone", "neck", "head"))
        kind = type_name(backbone, "backbone")
        assert backbone is not None
        what = f"{kind} config"
        refuse_options(backbone, {"conv_cfg": (None,)}, what)
        _check_norm(backbone.get("norm_cfg"), what)
        if neck is None or type_name(neck, "neck") != "GlobalAveragePooling":
            raise FamilyError(
                f"neck {neck!r} is not supported; set model.neck=dict(type='GlobalAveragePooling')"
            )
        if type_name(head, "head") != "LinearClsHead":
            raise FamilyError(f"head {head!r} is not supported; use LinearClsHead")
        assert head is not None
        depth = backbone["depth"]
        num_stages = backbone.get("num_stages", 4)
        if max(backbone.get("out_indices", (3,))) != num_stages - 1:
            raise FamilyError(
                f"{what}: the option out_indices={backbone.get('out_indices', (3,))} is not "
                f"supported: the classifier must read the last of the {num_stages} stages"
            )
        architecture = cls(
            depth=depth,
            base_channels=backbone.get("base_channels", 64),
            stem_channels=backbone.get("stem_channels", 64),
            num_stages=num_stages,
            strides=tuple(backbone.get("strides", (1, 2, 2, 2))),
            expansion=backbone.get("expansion") or usual_expansion(depth),
            deep_stem=kind in ("ResNetV1c", "ResNetV1d") or backbone.get("deep_stem", False),
            avg_down=kind == "ResNetV1d" or backbone.get("avg_down", False),
            style=backbone.get("style", "pytorch"),
            in_channels=backbone.get("in_channels", 3),
            num_classes=head["num_classes"],
        )
        check_head(head, architecture.feature_channels)
        return architecture

    def layout(self) -> Layout:
        """Layout of the plain state dict of MMPretrain's ``ImageClassifier``.

        A stage has one stream and each block one or two inner widths. The stem is one space, three
        with a deep stem; when the first stage's shortcut is an identity the stem's last space *is*
        the first stream, since their channels are added.
        """
        builder = _Builder()
        channels = self._build_stem(builder)
        stream, block = "stem", 0
        for stage in range(self.num_stages):
            outer = self._stage_channels(stage)
            for index in range(STAGE_BLOCKS[self.depth][stage]):
                stride = self.strides[stage] if index == 0 else 1
                module = f"backbone.layer{stage + 1}.{index}"
                reads = stream
                shortcut = index == 0 and (stride != 1 or channels != outer)
                if shortcut:
                    stream = builder.space(f"layer{stage + 1}", outer, "stream")
                self._build_branch(builder, module, outer, reads, stream, block)
                if shortcut:
                    pooled = int(self.avg_down and stride != 1)
                    downsample = f"{module}.downsample"
                    builder.conv(f"{downsample}.{pooled}", stream, reads, 1, block)
                    builder.norm(f"{downsample}.{pooled + 1}", stream, block)
                channels = outer
                block += 1
        classes = Axis.fixed(self.num_classes, "the number of classes")
        builder.entries["head.fc.weight"] = Entry((classes, Axis.reads(stream)), "weight")
        builder.entries["head.fc.bias"] = Entry((classes,), "bias")
        return Layout(builder.spaces, builder.entries)

    @property
    def num_layers(self) -> int:
        """The stages."""
        return self.num_stages

    def layer_of(self, name: str) -> int:
        """The layer of a parameter of the backbone: 0 for the stem, ``i`` for stage ``i``.

        Raises:
            FamilyError: the backbone's names have no such beginning.
        """
        stage = re.match(r"layer([1-4])\.", name)
        if stage:
            return int(stage[1])
        if re.match(r"(stem|conv1|bn1)\.", name):
            return 0
        raise FamilyError(
            f"a ResNet has no parameter {name}: names begin with "
            "stem., conv1., bn1. or layer1. to layer4."
        )

    def _stage_channels(self, stage: int) -> int:
        return self.base_channels * self.expansion * 2**stage

    def _build_stem(self, builder: "_Builder") -> int:
        """Add the stem, whose last space is called ``stem``; returns its width."""
        colours = Axis.fixed(self.in_channels, "the number of input channels")
        if not self.deep_stem:
            builder.space("stem", self.stem_channels, "stem", activation="relu")
            builder.conv("backbone.conv1", "stem", colours, 7)
            builder.norm("backbone.bn1", "stem")
            return self.stem_channels
        reads: Axis | str = colours
        for i, (name, share) in enumerate((("stem.0", 2), ("stem.1", 2), ("stem", 1))):
            norm = f"backbone.stem.{i}.bn"
            builder.space(
                name,
                self.stem_channels // share,
                "stem",
                reader_norms=(norm,) if share == 2 else (),
                activation="relu",
            )
            builder.conv(f"backbone.stem.{i}.conv", name, reads, 3)
            builder.norm(norm, name)
            reads = name
        return self.stem_channels

    def _build_branch(
        self, builder: "_Builder", module: str, outer: int, reads: str, stream: str, block: int
    ) -> None:
        """Add the residual branch of one block, from one stream to another or the same."""
        kernels = (1, 3, 1) if self.depth in BOTTLENECK_DEPTHS else (3, 3)
        prefix = module.removeprefix("backbone.")
        for i, kernel in enumerate(kernels, start=1):
            norm = f"{module}.bn{i}"
            last = i == len(kernels)
            writes = stream
            if not last:
                writes = builder.space(
                    f"{prefix}.inner{i}",
                    outer // self.expansion,
                    "hidden",
                    reader_norms=(norm,),
                    activation="relu",
                )
            builder.conv(f"{module}.conv{i}", writes, reads, kernel, block)
            builder.norm(norm, writes, block)
            reads = writes

    def at_inner(self, fraction: Fraction) -> "ResNetArchitecture":
        """The same architecture with a fraction of the channels inside of its blocks.

        Raises:
            FamilyError: a number of channels, or an outer over an inner width, that is not whole;
                a ResNet of basic blocks, whose inner width is the outer one in MMPretrain.
        """
        if fraction != 1 and self.depth not in BOTTLENECK_DEPTHS:
            raise FamilyError(
                f"{self.label} at inner width {fraction}: basic blocks are as wide inside as "
                f"outside in MMPretrain; choose one of bottlenecks (depth "
                f"{', '.join(map(str, BOTTLENECK_DEPTHS))}), or an operator that grows the width"
            )
        base, expansion = self.base_channels * fraction, self.expansion / fraction
        if base.denominator != 1 or expansion.denominator != 1:
            raise FamilyError(
                f"{self.label} at inner width {fraction}: {self.base_channels} channels and an "
                f"expansion of {self.expansion} become {base} and {expansion}; choose a fraction "
                "that keeps both whole, such as '1/2'"
            )
        return replace(self, base_channels=int(base), expansion=int(expansion))

    def _resize_config(self, model_cfg: Any) -> None:
        model_cfg["backbone"]["base_channels"] = self.base_channels
        if self.expansion != usual_expansion(self.depth):
            model_cfg["backbone"]["expansion"] = self.expansion
        model_cfg["backbone"]["stem_channels"] = self.stem_channels
        model_cfg["head"]["in_channels"] = self.feature_channels


def usual_expansion(depth: int) -> int:
    """Outer over inner width of the blocks of MMPretrain's ResNet of a depth."""
    return 4 if depth in BOTTLENECK_DEPTHS else 1


class _Builder:
    """Collects the spaces and entries of a layout."""

    def __init__(self) -> None:
        self.spaces: dict[str, Space] = {}
        self.entries: dict[str, Entry] = {}

    def space(self, name: str, size: int, kind: Any, **more: Any) -> str:
        """Add a space and return its name."""
        self.spaces[name] = Space(name, size, kind, **more)
        return name

    def conv(
        self, module: str, writes: str, reads: str | Axis, kernel: int, block: int | None = None
    ) -> None:
        """Add a square convolution without bias."""
        source = Axis.reads(reads) if isinstance(reads, str) else reads
        side = Axis.fixed(kernel, "the kernel size")
        axes = (Axis.writes(writes), source, side, side)
        self.entries[f"{module}.weight"] = Entry(axes, "weight", block)

    def norm(self, module: str, writes: str, block: int | None = None) -> None:
        """Add a BatchNorm."""
        axes = (Axis.writes(writes),)
        self.entries[f"{module}.weight"] = Entry(axes, "scale", block)
        self.entries[f"{module}.bias"] = Entry(axes, "shift", block)
        self.entries[f"{module}.running_mean"] = Entry(axes, "statistic", block)
        self.entries[f"{module}.running_var"] = Entry(axes, "statistic", block)
        self.entries[f"{module}.num_batches_tracked"] = Entry((), "counter", block)


def _check_norm(norm_cfg: Mapping[str, Any] | None, what: str) -> None:
    if norm_cfg is None:
        return
    kind = type_name(norm_cfg, "norm_cfg")
    unknown = [option for option in norm_cfg if option not in NORM_OPTIONS]
    if kind not in ("BN", "SyncBN") or unknown:
        raise FamilyError(
            f"{what}: the option norm_cfg={dict(norm_cfg)} is not supported; use BN or SyncBN "
            f"with {', '.join(NORM_OPTIONS[1:])}"
        )
