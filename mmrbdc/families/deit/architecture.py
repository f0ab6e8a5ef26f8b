"""DeiT and plain ViT: MMPretrain's ``VisionTransformer`` and ``DistilledVisionTransformer``."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from torch import Tensor

from mmrbdc.families.base import Architecture
from mmrbdc.families.deit.sizes import DEFAULT_ARCH, read_arch
from mmrbdc.families.errors import FamilyError
from mmrbdc.families.options import check_head, pair, refuse_options, type_name
from mmrbdc.growth import Axis, Entry, Layout, Space

HEADS = {
    "VisionTransformerClsHead": ("head.layers.head",),
    "DeiTClsHead": ("head.layers.head", "head.layers.head_dist"),
    "LinearClsHead": ("head.fc",),
}
"""Classifier heads and the module names of their linear maps."""

_EMBEDDING = ("patch_embed", "cls_token", "dist_token", "pos_embed", "pre_norm")
"""First parts of the names of what stands in front of the first layer."""


@dataclass(frozen=True)
class DeiTArchitecture(Architecture):
    """A ViT of constant head size: width means more heads.

    Attributes:
        depth: number of layers.
        embed_dims: width of the residual stream.
        num_heads: attention heads of a layer.
        feedforward_channels: hidden units of a layer.
        patch_size: height and width of a patch.
        img_size: height and width of the training image, which fix the size of the position table.
        in_channels: colours.
        num_classes: classes.
        head: class name of the classifier head.
        distilled: whether there is a distillation token.
        with_cls_token: whether there is a class token.
        qkv_bias: whether queries, keys and values have a bias.
        layer_scale: whether both branches of a layer end in a learned scale.
        pre_norm: whether a norm (and no patch bias) stands in front of the first layer.
        final_norm: whether a norm stands behind the last layer.
        pooled_norm: whether a norm stands behind the pooled patch tokens (``avg_featmap``).
    """

    family: ClassVar[str] = "deit"
    backbone_types: ClassVar[tuple[str, ...]] = ("VisionTransformer", "DistilledVisionTransformer")
    width_fields: ClassVar[tuple[str, ...]] = ("embed_dims", "num_heads", "feedforward_channels")
    inner_fields: ClassVar[tuple[str, ...]] = ("feedforward_channels",)
    depth_fields: ClassVar[tuple[str, ...]] = ("depth",)
    image_fields: ClassVar[tuple[str, ...]] = ("img_size",)
    head_fields: ClassVar[tuple[str, ...]] = ("head", "num_classes")
    head_of_one_class: ClassVar[Mapping[str, Any]] = {
        "head": {"type": "VisionTransformerClsHead", "num_classes": 1}
    }

    depth: int
    embed_dims: int
    num_heads: int
    feedforward_channels: int
    patch_size: tuple[int, int] = (16, 16)
    img_size: tuple[int, int] = (224, 224)
    in_channels: int = 3
    num_classes: int = 1000
    head: str = "VisionTransformerClsHead"
    distilled: bool = False
    with_cls_token: bool = True
    qkv_bias: bool = True
    layer_scale: bool = False
    pre_norm: bool = False
    final_norm: bool = True
    pooled_norm: bool = False

    def __post_init__(self) -> None:
        if self.num_heads <= 0 or self.embed_dims % self.num_heads:
            raise FamilyError(
                f"embed_dims={self.embed_dims} does not divide into num_heads={self.num_heads} "
                "heads; choose a multiple"
            )

    @property
    def width(self) -> int:
        """Width of the residual stream."""
        return self.embed_dims

    @property
    def head_size(self) -> int:
        """Channels of one attention head; the same at every width."""
        return self.embed_dims // self.num_heads

    @property
    def label(self) -> str:
        """For example ``deit 12x192, 3 heads``; hidden units where they are not four times that."""
        heads = f"{self.num_heads} head{'s' if self.num_heads > 1 else ''}"
        usual = self.feedforward_channels == 4 * self.embed_dims
        hidden = "" if usual else f", {self.feedforward_channels} hidden"
        return f"deit {self.depth}x{self.embed_dims}, {heads}{hidden}"

    @classmethod
    def from_config(cls, model_cfg: Mapping[str, Any]) -> "DeiTArchitecture":
        """Read the architecture off the config of an MMPretrain ``ImageClassifier``.

        Raises:
            FamilyError: an option whose tensors the family does not know.
        """
        backbone, head = model_cfg["backbone"], model_cfg.get("head")
        kind = type_name(backbone, "backbone")
        what = f"{kind} config"
        refuse_options(backbone, {"patch_cfg": ({},), "layer_cfgs": ({},)}, what)
        _check_norm(backbone.get("norm_cfg"), what)
        if model_cfg.get("neck") is not None:
            raise FamilyError(f"{what}: a neck ({model_cfg['neck']!r}) is not supported")
        head_kind = type_name(head, "head")
        assert head is not None
        if head_kind not in HEADS:
            raise FamilyError(f"head {head_kind} is not supported; supported: {', '.join(HEADS)}")
        refuse_options(head, {"hidden_dim": (None,)}, f"{head_kind} config")
        arch = read_arch(backbone.get("arch", DEFAULT_ARCH[kind]), what)
        check_head(head, arch["embed_dims"])
        scale = backbone.get("layer_scale_init_value", 0.0)
        return cls(
            depth=arch["num_layers"],
            embed_dims=arch["embed_dims"],
            num_heads=arch["num_heads"],
            feedforward_channels=arch["feedforward_channels"],
            patch_size=pair(backbone.get("patch_size", 16)),
            img_size=pair(backbone.get("img_size", 224)),
            in_channels=backbone.get("in_channels", 3),
            num_classes=head["num_classes"],
            head=head_kind,
            distilled=kind == "DistilledVisionTransformer",
            with_cls_token=backbone.get("with_cls_token", True),
            qkv_bias=backbone.get("qkv_bias", True),
            layer_scale=bool(scale > 0),
            pre_norm=backbone.get("pre_norm", False),
            final_norm=backbone.get("final_norm", True),
            pooled_norm=backbone.get("out_type", "cls_token") == "avg_featmap",
        )

    def layout(self) -> Layout:
        """Layout of the plain state dict of MMPretrain's ``ImageClassifier``.

        The stream is one space for the whole network; each layer has a space for its heads and one
        for its hidden units. Position table and tokens write the stream.
        """
        stream = Axis.writes("stream")
        one = Axis.fixed(1)
        entries: dict[str, Entry] = {}
        if self.with_cls_token:
            entries["backbone.cls_token"] = Entry((one, one, stream), "token")
        tokens = Axis.fixed(self.num_tokens, "the number of tokens (image size / patch size)")
        entries["backbone.pos_embed"] = Entry((one, tokens, stream), "position")
        if self.distilled:
            entries["backbone.dist_token"] = Entry((one, one, stream), "token")
        patch = (
            Axis.fixed(self.in_channels, "the number of input channels"),
            Axis.fixed(self.patch_size[0], "the patch height"),
            Axis.fixed(self.patch_size[1], "the patch width"),
        )
        entries["backbone.patch_embed.projection.weight"] = Entry((stream, *patch), "weight")
        if not self.pre_norm:
            entries["backbone.patch_embed.projection.bias"] = Entry((stream,), "bias")
        for i in range(self.depth):
            entries |= self._layer_entries(i)
        if self.pre_norm:
            entries |= _norm_entries("backbone.pre_norm")
        if self.final_norm:
            entries |= _norm_entries("backbone.ln1")
        if self.pooled_norm:
            entries |= _norm_entries("backbone.ln2")
        classes = Axis.fixed(self.num_classes, "the number of classes")
        for module in HEADS[self.head]:
            entries[f"{module}.weight"] = Entry((classes, Axis.reads("stream")), "weight")
            entries[f"{module}.bias"] = Entry((classes,), "bias")
        back = ("backbone.ln1", "backbone.ln2", *HEADS[self.head])
        return Layout({space.name: space for space in self._spaces()}, entries, back)

    @property
    def num_layers(self) -> int:
        """The layers."""
        return self.depth

    def layer_of(self, name: str) -> int:
        """The layer of a parameter of the backbone: 0 for what stands in front of the layers, i + 1
        for layer i, ``num_layers`` + 1 for the norms behind them.

        Raises:
            FamilyError: a name that belongs to none.
        """
        first, *rest = name.split(".")
        if first in _EMBEDDING:
            return 0
        if (
            first == "layers"
            and len(rest) > 1
            and rest[0].isdecimal()
            and int(rest[0]) < self.depth
        ):
            return int(rest[0]) + 1
        last = [
            norm for norm, there in (("ln1", self.final_norm), ("ln2", self.pooled_norm)) if there
        ]
        if first in last:
            return self.depth + 1
        raise FamilyError(
            f"'{name}' is in no layer of a {self.label}: parameters begin with "
            f"{', '.join([*_EMBEDDING, f'layers.0 to layers.{self.depth - 1}', *last])}"
        )

    @property
    def not_trained(self) -> str | None:
        """The distilled model: MMPretrain has no training loss for its head."""
        if not self.distilled:
            return None
        return (
            "DeiTClsHead, the head of MMPretrain's DistilledVisionTransformer, has no training "
            "loss; use VisionTransformer with VisionTransformerClsHead"
        )

    def label_without(self, untold: Sequence[str]) -> str:
        """The label; depth and width alone where the heads are not known."""
        return self.label.partition(",")[0] if "num_heads" in untold else self.label

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches, the last ones padded."""
        (height, width), (patch_height, patch_width) = self.img_size, self.patch_size
        return -(-height // patch_height), -(-width // patch_width)

    @property
    def num_tokens(self) -> int:
        """Length of the position table: patches and tokens."""
        return self.grid[0] * self.grid[1] + self._extra_tokens

    @property
    def _extra_tokens(self) -> int:
        return int(self.with_cls_token) + int(self.distilled)

    def at_depth(self, fraction: Fraction) -> "DeiTArchitecture":
        """The same architecture with a fraction of its layers.

        Raises:
            FamilyError: a number of layers that is not whole.
        """
        depth = self.depth * fraction
        if depth.denominator != 1 or depth <= 0:
            raise FamilyError(
                f"{self.label} at depth {fraction}: {self.depth} x {fraction} = {depth} layers; "
                f"choose a fraction that gives whole layers, such as '1/{self.depth}'"
            )
        return replace(self, depth=int(depth))

    def at_inner(self, fraction: Fraction) -> "DeiTArchitecture":
        """The same architecture with a fraction of the hidden units of its layers.

        Raises:
            FamilyError: a number of hidden units that is not whole.
        """
        hidden = self.feedforward_channels * fraction
        if hidden.denominator != 1:
            raise FamilyError(
                f"{self.label} at inner width {fraction}: {self.feedforward_channels} hidden "
                f"units x {fraction} = {hidden}; choose a fraction that gives whole units"
            )
        return replace(self, feedforward_channels=int(hidden))

    def at_image_size(self, pixels: int) -> "DeiTArchitecture":
        """The same architecture for square training images of another size.

        Raises:
            FamilyError: a size that is not a multiple of the patches'.
        """
        if any(pixels % patch for patch in self.patch_size):
            raise FamilyError(
                f"img_size={pixels} is not a multiple of the patch size {self.patch_size} of "
                f"{self.label}; choose a multiple, so that no patch is padded"
            )
        return replace(self, img_size=(pixels, pixels))

    def fitted(self, state_dict: Mapping[str, Tensor], who: str) -> "DeiTArchitecture":
        """This architecture at the depth and with the position table of some tensors.

        A table of another length than this architecture's is taken for a grid of the same
        proportions.

        Args:
            state_dict: tensors of the family.
            who: what messages call them.

        Raises:
            FamilyError: no such grid has the length of the table.
        """
        depth = 0
        while f"backbone.layers.{depth}.ln1.weight" in state_dict:
            depth += 1
        sized = replace(self, depth=depth)
        table = state_dict.get("backbone.pos_embed")
        if table is None or table.ndim != 3 or table.shape[1] == self.num_tokens:
            return sized
        patches = table.shape[1] - self._extra_tokens
        rows = math.isqrt(max(0, patches * self.grid[0] // self.grid[1]))
        columns = rows * self.grid[1] // self.grid[0]
        if rows * columns != patches or patches < 1:
            raise FamilyError(
                f"{who}: its position table has {table.shape[1]} tokens, which make no grid of "
                f"the proportions {self.grid}; say its image size with --parent-config"
            )
        size = (rows * self.patch_size[0], columns * self.patch_size[1])
        return replace(sized, img_size=size)

    def _spaces(self) -> list[Space]:
        layers = [f"backbone.layers.{i}" for i in range(self.depth)]
        norms = [f"{layer}.{norm}" for layer in layers for norm in ("ln1", "ln2")]
        if self.pooled_norm:
            norms.append("backbone.ln2")
        elif self.final_norm:
            norms.append("backbone.ln1")
        spaces = [Space("stream", self.embed_dims, "stream", reader_norms=tuple(norms))]
        for i in range(self.depth):
            spaces.append(Space(f"layers.{i}.heads", self.embed_dims, "heads", unit=self.head_size))
            spaces.append(
                Space(f"layers.{i}.hidden", self.feedforward_channels, "hidden", activation="gelu")
            )
        return spaces

    def _layer_entries(self, i: int) -> dict[str, Entry]:
        layer = f"backbone.layers.{i}"
        heads, hidden = f"layers.{i}.heads", f"layers.{i}.hidden"
        entries = _norm_entries(f"{layer}.ln1", i)
        entries |= _linear_entries(
            f"{layer}.attn.qkv", Axis.writes(heads, fused=3), "stream", i, bias=self.qkv_bias
        )
        entries |= _linear_entries(f"{layer}.attn.proj", Axis.writes("stream"), heads, i)
        if self.layer_scale:
            entries[f"{layer}.attn.gamma1.weight"] = Entry((Axis.writes("stream"),), "scale", i)
        entries |= _norm_entries(f"{layer}.ln2", i)
        entries |= _linear_entries(f"{layer}.ffn.layers.0.0", Axis.writes(hidden), "stream", i)
        entries |= _linear_entries(f"{layer}.ffn.layers.1", Axis.writes("stream"), hidden, i)
        if self.layer_scale:
            entries[f"{layer}.ffn.gamma2.weight"] = Entry((Axis.writes("stream"),), "scale", i)
        return entries

    def _resize_config(self, model_cfg: Any) -> None:
        backbone = model_cfg["backbone"]
        kind = type_name(backbone, "backbone")
        arch = backbone.get("arch", DEFAULT_ARCH[kind])
        if read_arch(arch, kind)["num_layers"] != self.depth:
            last = {"out_indices": (-1, [-1], (-1,))}
            refuse_options(backbone, last, f"{kind} config, at another depth")
        rest = dict(arch) if isinstance(arch, Mapping) else {}
        backbone["arch"] = {
            **rest,
            "embed_dims": self.embed_dims,
            "num_layers": self.depth,
            "num_heads": self.num_heads,
            "feedforward_channels": self.feedforward_channels,
        }
        model_cfg["head"]["in_channels"] = self.embed_dims
        if pair(backbone.get("img_size", 224)) != self.img_size:
            height, width = self.img_size
            backbone["img_size"] = height if height == width else self.img_size

    def _compared(self, other: Architecture) -> list[tuple[str, Any, Any]]:
        assert isinstance(other, DeiTArchitecture)
        return [*super()._compared(other), ("head size", self.head_size, other.head_size)]


def _check_norm(norm_cfg: Mapping[str, Any] | None, what: str) -> None:
    if norm_cfg is None:
        return
    if type_name(norm_cfg, "norm_cfg") != "LN":
        raise FamilyError(f"{what}: the option norm_cfg={dict(norm_cfg)} is not supported; use LN")
    refuse_options(norm_cfg, {"elementwise_affine": (True,), "bias": (True,)}, f"{what}, norm_cfg")


def _norm_entries(module: str, block: int | None = None) -> dict[str, Entry]:
    """A LayerNorm over the stream."""
    axes = (Axis.writes("stream"),)
    return {
        f"{module}.weight": Entry(axes, "scale", block),
        f"{module}.bias": Entry(axes, "shift", block),
    }


def _linear_entries(
    module: str, writes: Axis, reads: str, block: int, bias: bool = True
) -> dict[str, Entry]:
    """A linear map from one space to another."""
    entries = {f"{module}.weight": Entry((writes, Axis.reads(reads)), "weight", block)}
    if bias:
        entries[f"{module}.bias"] = Entry((writes,), "bias", block)
    return entries
