"""timm's ``vit_*``, ``deit_*`` and ``deit3_*``: names, and what ``config.json`` says.

The official DeiT code (facebookresearch/deit) builds on timm; its DeiT III spells the layer scale
``gamma_1`` instead of ``ls1.gamma``.
"""

from typing import Any

from mmrbdc.families.deit.architecture import DeiTArchitecture
from mmrbdc.families.dialect import Dialect
from mmrbdc.families.family import WrittenModel
from mmrbdc.families.names import NameTable, same

_BLOCK = (
    ("patch_embed.proj", "patch_embed.projection"),
    ("norm_pre", "pre_norm"),
    ("blocks.{i}.norm1", "layers.{i}.ln1"),
    ("blocks.{i}.attn.qkv", "layers.{i}.attn.qkv"),
    ("blocks.{i}.attn.proj", "layers.{i}.attn.proj"),
    ("blocks.{i}.norm2", "layers.{i}.ln2"),
    ("blocks.{i}.mlp.fc1", "layers.{i}.ffn.layers.0.0"),
    ("blocks.{i}.mlp.fc2", "layers.{i}.ffn.layers.1"),
)
_SINGLE = (
    *same("cls_token", "dist_token", "pos_embed"),
    ("blocks.{i}.ls1.gamma", "layers.{i}.attn.gamma1.weight"),
    ("blocks.{i}.ls2.gamma", "layers.{i}.ffn.gamma2.weight"),
    ("blocks.{i}.gamma_1", "layers.{i}.attn.gamma1.weight"),
    ("blocks.{i}.gamma_2", "layers.{i}.ffn.gamma2.weight"),
)
_MARKERS = ("patch_embed.proj.weight", "blocks.0.norm1.weight")

DIALECTS = (
    Dialect(
        libraries=("timm",),
        backbone=NameTable([*_BLOCK, ("norm", "ln1")], _SINGLE),
        head=NameTable(
            [
                ("head", "head.layers.head"),
                ("head_dist", "head.layers.head_dist"),
                ("head", "head.fc"),
            ]
        ),
        markers=_MARKERS,
        needs=("ln1.weight",),
    ),
    Dialect(  # global_pool='avg': the norm stands behind the pooling
        libraries=("timm",),
        backbone=NameTable([*_BLOCK, ("fc_norm", "ln2")], _SINGLE),
        head=NameTable([("head", "head.fc"), ("head", "head.layers.head")]),
        markers=(*_MARKERS, "fc_norm.weight"),
        needs=("ln2.weight",),
    ),
)

_NAMED_WIDTHS = {192: "tiny", 384: "small"}


def config(model: WrittenModel[DeiTArchitecture]) -> tuple[dict[str, Any], list[str]]:
    """What timm's ``create_model`` needs, and notes for a reader."""
    own = model.architecture
    usual = own.head_size == 64 and own.depth == 12
    kind = _NAMED_WIDTHS.get(own.embed_dims, "base") if usual else "base"
    distilled = "_distilled" if own.distilled else ""
    pool = "avg" if own.pooled_norm else "token"
    arguments: dict[str, Any] = dict(
        img_size=list(own.img_size),
        patch_size=list(own.patch_size),
        in_chans=own.in_channels,
        embed_dim=own.embed_dims,
        depth=own.depth,
        num_heads=own.num_heads,
        mlp_ratio=own.feedforward_channels / own.embed_dims,
        qkv_bias=own.qkv_bias,
        pre_norm=own.pre_norm,
        class_token=own.with_cls_token,
    )
    if own.layer_scale:
        arguments["init_values"] = 1e-5
    arguments["global_pool"] = pool
    notes = []
    if "num_heads" in model.untold:
        del arguments["num_heads"]
        notes.append("the file does not say its attention heads: model_args.num_heads is yours")
    if _positions_of_patches_alone(model):
        arguments["no_embed_class"] = True
    name = f"deit_{kind}{distilled}_patch16_224"
    return {"architecture": name, "global_pool": pool, "model_args": arguments}, notes


def _positions_of_patches_alone(model: WrittenModel[DeiTArchitecture]) -> bool:
    """Whether the position table has rows for the patches alone, beside a class token."""
    table, (rows, columns) = model.tensors.get("pos_embed"), model.architecture.grid
    return table is not None and "cls_token" in model.tensors and table.shape[1] == rows * columns
