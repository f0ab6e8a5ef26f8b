"""Hugging Face's names: transformers' ViT, DeiT and ResNet.

Its ViT files say ``encoder.layer.0.attention.attention.query`` to this day; since version 5 the
live model says ``layers.0.attention.q_proj``, so both are read and the former is written.
"""

from mmrbdc.weights.libraries.dialect import Dialect
from mmrbdc.weights.libraries.names import NameTable

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
EPS_WRITTEN = (
    "set layer_norm_eps=1e-6, MMPretrain's, in its config.json: Hugging Face's default is 1e-12",
)


def _vit(root: str, head: list[tuple[str, str]], distilled: bool) -> Dialect:
    return Dialect(
        libraries=("huggingface",),
        family="deit",
        backbone=NameTable(_MODULES, _DISTILLED if distilled else _TENSORS),
        head=NameTable(head),
        roots=(root, ""),
        markers=(_MARKER, "embeddings.distillation_token") if distilled else (_MARKER,),
        needs=("cls_token", "ln1.weight", *(["dist_token"] if distilled else [])),
        left=("pooler",),
        split_qkv=True,
        reading=_EPS_READ,
        writing=EPS_WRITTEN,
    )


DIALECTS = (
    _vit("vit.", _ONE_HEAD, distilled=False),
    _vit("deit.", _ONE_HEAD, distilled=True),
    _vit("deit.", _TWO_HEADS, distilled=True),
    Dialect(
        libraries=("huggingface",),
        family="resnet",
        backbone=NameTable(
            [
                ("embedder.embedder.convolution", "conv1"),
                ("embedder.embedder.normalization", "bn1"),
                (
                    "encoder.stages.{s}.layers.{b}.layer.{c}.convolution",
                    "layer{s+1}.{b}.conv{c+1}",
                ),
                (
                    "encoder.stages.{s}.layers.{b}.layer.{c}.normalization",
                    "layer{s+1}.{b}.bn{c+1}",
                ),
                (
                    "encoder.stages.{s}.layers.{b}.shortcut.convolution",
                    "layer{s+1}.{b}.downsample.0",
                ),
                (
                    "encoder.stages.{s}.layers.{b}.shortcut.normalization",
                    "layer{s+1}.{b}.downsample.1",
                ),
            ]
        ),
        head=NameTable([("classifier.1", "head.fc")]),
        roots=("resnet.", ""),
        markers=("embedder.embedder.convolution.weight",),
        needs=("conv1.weight",),
        facts={"style": "pytorch", "strides": (1, 2, 2, 2)},
        reading=(
            "taken for a ResNet whose config.json says downsample_in_bottleneck=false and "
            "downsample_in_first_stage=false, the defaults",
        ),
    ),
)
