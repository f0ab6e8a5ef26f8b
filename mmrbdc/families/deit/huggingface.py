"""Hugging Face's ViT and DeiT: names, and what ``config.json`` says.

Files say ``encoder.layer.0.attention.attention.query`` to this day; since version 5 of transformers
the live model says ``layers.0.attention.q_proj``, so both are read and the former is written.
"""

from typing import Any

from mmrbdc.families.deit.architecture import DeiTArchitecture
from mmrbdc.families.dialect import Dialect
from mmrbdc.families.family import WrittenModel
from mmrbdc.families.names import NameTable

_OLD, _NEW = "encoder.layer.{i}", "layers.{i}"
_MODULES = [
    ("embeddings.patch_embeddings.projection", "patch_embed.projection"),
    (f"{_OLD}.layernorm_before", "layers.{i}.ln1"),
    (f"{_OLD}.attention.attention.query", "layers.{i}.attn.q"),
    (f"{_OLD}.attention.attention.key", "layers.{i}.attn.k"),
    (f"{_OLD}.attention.attention.value", "layers.{i}.attn.v"),
    (f"{_OLD}.attention.output.dense", "layers.{i}.attn.proj"),
    (f"{_OLD}.layernorm_after", "layers.{i}.ln2"),
    (f"{_OLD}.intermediate.dense", "layers.{i}.ffn.layers.0.0"),
    (f"{_OLD}.output.dense", "layers.{i}.ffn.layers.1"),
    ("layernorm", "ln1"),
    (f"{_NEW}.layernorm_before", "layers.{i}.ln1"),
    (f"{_NEW}.attention.q_proj", "layers.{i}.attn.q"),
    (f"{_NEW}.attention.k_proj", "layers.{i}.attn.k"),
    (f"{_NEW}.attention.v_proj", "layers.{i}.attn.v"),
    (f"{_NEW}.attention.o_proj", "layers.{i}.attn.proj"),
    (f"{_NEW}.layernorm_after", "layers.{i}.ln2"),
    (f"{_NEW}.mlp.fc1", "layers.{i}.ffn.layers.0.0"),
    (f"{_NEW}.mlp.fc2", "layers.{i}.ffn.layers.1"),
]
_IN_PARTS = {".attn.qkv.": (".attn.q.", ".attn.k.", ".attn.v.")}
_TENSORS = [
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.position_embeddings", "pos_embed"),
]
_DISTILLED = [*_TENSORS, ("embeddings.distillation_token", "dist_token")]
_ONE_HEAD = [("classifier", "head.layers.head"), ("classifier", "head.fc")]
_TWO_HEADS = [
    ("cls_classifier", "head.layers.head"),
    ("distillation_classifier", "head.layers.head_dist"),
]
_MARKER = "embeddings.patch_embeddings.projection.weight"
_EPS_READ = (
    "Hugging Face's ViT and DeiT have layer_norm_eps=1e-12 by default and MMPretrain 1e-6: for the "
    "last digits, give the backbone norm_cfg=dict(type='LN', eps=1e-12)",
)
_EPS_WRITTEN = (
    "set layer_norm_eps=1e-6, MMPretrain's, in its config.json: Hugging Face's default is 1e-12",
)


def _dialect(root: str, head: list[tuple[str, str]], distilled: bool) -> Dialect:
    return Dialect(
        libraries=("huggingface",),
        backbone=NameTable(_MODULES, _DISTILLED if distilled else _TENSORS),
        head=NameTable(head),
        roots=(root, ""),
        markers=(_MARKER, "embeddings.distillation_token") if distilled else (_MARKER,),
        needs=("cls_token", "ln1.weight", *(["dist_token"] if distilled else [])),
        left=("pooler",),
        in_parts=_IN_PARTS,
        reading=_EPS_READ,
        writing=_EPS_WRITTEN,
    )


DIALECTS = (
    _dialect("vit.", _ONE_HEAD, distilled=False),
    _dialect("deit.", _ONE_HEAD, distilled=True),
    _dialect("deit.", _TWO_HEADS, distilled=True),
)


def config(model: WrittenModel[DeiTArchitecture]) -> tuple[dict[str, Any], list[str]]:
    """What transformers needs to build the model, and notes for a reader."""
    own, notes = model.architecture, []
    eps = 1e-12 if model.read_from == ("huggingface",) else 1e-6
    arguments = dict(
        hidden_size=own.embed_dims,
        num_hidden_layers=own.depth,
        num_attention_heads=own.num_heads,
        intermediate_size=own.feedforward_channels,
        hidden_act="gelu",
        image_size=own.img_size[0],
        patch_size=own.patch_size[0],
        num_channels=own.in_channels,
        qkv_bias=own.qkv_bias,
        layer_norm_eps=eps,
    )
    if "num_heads" in model.untold:
        del arguments["num_attention_heads"]
        notes.append(
            "the file does not say its attention heads: num_attention_heads in config.json is yours"
        )
    kind, end = "DeiT" if own.distilled else "ViT", "Model"
    if any("classifier" in name for name in model.tensors):
        end = "ForImageClassification"
    if any(name.startswith("distillation_") for name in model.tensors):
        end += "WithTeacher"
    return {**arguments, "architectures": [kind + end], "model_type": kind.lower()}, notes
