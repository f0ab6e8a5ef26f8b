"""MMPretrain's own names of ``VisionTransformer`` and ``DistilledVisionTransformer``."""

from mmrbdc.families.dialect import BACKBONE, Dialect
from mmrbdc.families.names import NameTable, same

_MODULES = (
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
_TENSORS = ("cls_token", "dist_token", "pos_embed")
_HEAD = ("head.layers.head", "head.layers.head_dist", "head.fc")

DIALECTS = (
    Dialect(
        libraries=("mmpretrain",),
        backbone=NameTable(same(*_MODULES), same(*_TENSORS)),
        head=NameTable(same(*_HEAD)),
        roots=(BACKBONE, ""),
        markers=("patch_embed.projection.weight", "layers.0.ln1.weight"),
    ),
)
