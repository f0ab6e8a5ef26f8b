"""What the names and shapes of a ViT's tensors tell of its architecture: all but its heads."""

import math
from typing import Any

from mmrbdc.families.backbone_tensors import BackboneTensors
from mmrbdc.families.deit.architecture import DeiTArchitecture

_HEADS = {
    "head.layers.head_dist.weight": "DeiTClsHead",
    "head.fc.weight": "LinearClsHead",
    "head.layers.head.weight": "VisionTransformerClsHead",
}


def fields(found: BackboneTensors, like: DeiTArchitecture | None) -> dict[str, Any]:
    """Read the fields of a :class:`DeiT`.

    Args:
        found: the tensors.
        like: an architecture whose image size counts where it fits the position table; without
            one the table is taken for a square grid.

    Raises:
        FamilyError: a tensor is missing without which nothing can be said.
    """
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
        **_head(found),
    )


def _image_size(
    patches: int, patch: tuple[int, int], like: DeiTArchitecture | None
) -> tuple[int, int]:
    if like is not None and like.patch_size == patch and math.prod(like.grid) == patches:
        return like.img_size
    side = math.isqrt(patches)
    rows, columns = (side, side) if side * side == patches else (1, patches)
    return rows * patch[0], columns * patch[1]


def _head(found: BackboneTensors) -> dict[str, Any]:
    """The fields that the head tells; none without a head."""
    for name, kind in _HEADS.items():
        classes = found.outputs(name)
        if classes is not None:
            return dict(head=kind, num_classes=classes)
    return {}
