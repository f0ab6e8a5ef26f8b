"""torchvision's names of its ``VisionTransformer``."""

from mmrbdc.families.dialect import Dialect
from mmrbdc.families.names import NameTable

_LAYER = "encoder.layers.encoder_layer_{i}"

DIALECTS = (
    Dialect(
        libraries=("torchvision",),
        backbone=NameTable(
            [
                ("conv_proj", "patch_embed.projection"),
                (f"{_LAYER}.ln_1", "layers.{i}.ln1"),
                (f"{_LAYER}.self_attention.out_proj", "layers.{i}.attn.proj"),
                (f"{_LAYER}.ln_2", "layers.{i}.ln2"),
                (f"{_LAYER}.mlp.0", "layers.{i}.ffn.layers.0.0"),
                (f"{_LAYER}.mlp.3", "layers.{i}.ffn.layers.1"),
                (f"{_LAYER}.mlp.linear_1", "layers.{i}.ffn.layers.0.0"),  # its first release
                (f"{_LAYER}.mlp.linear_2", "layers.{i}.ffn.layers.1"),
                ("encoder.ln", "ln1"),
            ],
            [
                ("class_token", "cls_token"),
                ("encoder.pos_embedding", "pos_embed"),
                (f"{_LAYER}.self_attention.in_proj_weight", "layers.{i}.attn.qkv.weight"),
                (f"{_LAYER}.self_attention.in_proj_bias", "layers.{i}.attn.qkv.bias"),
            ],
        ),
        head=NameTable([("heads.head", "head.layers.head"), ("heads.head", "head.fc")]),
        markers=("conv_proj.weight", "encoder.layers.encoder_layer_0.ln_1.weight"),
        needs=("cls_token", "ln1.weight", "layers.0.attn.qkv.bias"),
    ),
)
