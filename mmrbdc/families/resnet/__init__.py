"""ResNet, V1c and V1d: everything that is known of them."""

from mmrbdc.families.family import Family
from mmrbdc.families.resnet import huggingface, mmpretrain, timm
from mmrbdc.families.resnet.architecture import ResNetArchitecture
from mmrbdc.families.resnet.counters import with_counters
from mmrbdc.families.resnet.elsewhere import differences_elsewhere
from mmrbdc.families.resnet.shapes import fields

FAMILY = Family(
    architecture=ResNetArchitecture,
    titles=("ResNet",),
    dialects=(*mmpretrain.DIALECTS, *timm.DIALECTS, *huggingface.DIALECTS),
    fields=fields,
    input_maps=("conv1", "stem.0.conv"),
    untold={"style": (), "strides": ()},
    configs={"timm": timm.config, "huggingface": huggingface.config},
    completed=with_counters,
    elsewhere=differences_elsewhere,
)
"""The family ``resnet``."""

__all__ = ["FAMILY", "ResNetArchitecture"]
