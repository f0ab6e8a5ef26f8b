"""DeiT and plain ViT: everything that is known of them."""

from mmrbdc.families.deit import huggingface, mmpretrain, timm, torchvision
from mmrbdc.families.deit.architecture import DeiTArchitecture
from mmrbdc.families.deit.class_row import with_class_row, without_class_row
from mmrbdc.families.deit.shapes import fields
from mmrbdc.families.family import Family

FAMILY = Family(
    architecture=DeiTArchitecture,
    titles=("DeiT", "ViT"),
    sources=("official DeiT",),
    dialects=(
        *mmpretrain.DIALECTS,
        *timm.DIALECTS,
        *torchvision.DIALECTS,
        *huggingface.DIALECTS,
    ),
    fields=fields,
    input_maps=("patch_embed.projection",),
    untold={"num_heads": ("head size",)},
    configs={"timm": timm.config, "huggingface": huggingface.config},
    completed=with_class_row,
    trimmed=without_class_row,
)
"""The family ``deit``."""

__all__ = ["FAMILY", "DeiTArchitecture"]
