"""timm's names: ``vit_*``, ``deit_*``, ``deit3_*``, ``resnet*``, ``resnet*c`` and ``resnet*d``.

The official DeiT code (facebookresearch/deit) builds on timm; its DeiT III spells the layer scale
``gamma_1`` instead of ``ls1.gamma``.
"""

from mmrbdc.weights.libraries.dialect import Dialect
from mmrbdc.weights.libraries.mmpretrain import RESNET_BODY, same
from mmrbdc.weights.libraries.names import NameTable

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
_VIT_MARKERS = ("patch_embed.proj.weight", "blocks.0.norm1.weight")

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
_BODY = same(*RESNET_BODY)
_RESNET_MARKER = "layer1.0.conv1.weight"
_V1_5 = {"style": "pytorch", "strides": (1, 2, 2, 2)}
_FC = NameTable([("fc", "head.fc")])

DIALECTS = (
    Dialect(
        libraries=("timm",),
        family="deit",
        backbone=NameTable([*_BLOCK, ("norm", "ln1")], _SINGLE),
        head=NameTable(
            [
                ("head", "head.layers.head"),
                ("head_dist", "head.layers.head_dist"),
                ("head", "head.fc"),
            ]
        ),
        markers=_VIT_MARKERS,
        needs=("ln1.weight",),
    ),
    Dialect(  # global_pool='avg': the norm stands behind the pooling
        libraries=("timm",),
        family="deit",
        backbone=NameTable([*_BLOCK, ("fc_norm", "ln2")], _SINGLE),
        head=NameTable([("head", "head.fc"), ("head", "head.layers.head")]),
        markers=(*_VIT_MARKERS, "fc_norm.weight"),
        needs=("ln2.weight",),
    ),
    Dialect(
        libraries=("torchvision", "timm"),
        family="resnet",
        backbone=NameTable([*same("conv1", "bn1"), *_BODY, *_PLAIN_SHORTCUTS]),
        head=_FC,
        markers=(_RESNET_MARKER, "conv1.weight"),
        needs=("conv1.weight",),
        facts=_V1_5,
    ),
    Dialect(
        libraries=("timm",),
        family="resnet",
        backbone=NameTable([*_DEEP_STEM, *_BODY, *_PLAIN_SHORTCUTS]),
        head=_FC,
        markers=(_RESNET_MARKER, "conv1.0.weight"),
        needs=("stem.0.conv.weight",),
        facts=_V1_5,
    ),
    Dialect(
        libraries=("timm",),
        family="resnet",
        backbone=NameTable([*_DEEP_STEM, *_BODY, *_POOLED_SHORTCUTS]),
        head=_FC,
        markers=(_RESNET_MARKER, "conv1.0.weight"),
        needs=("stem.0.conv.weight",),
        facts=_V1_5,
    ),
)
