"""MMPretrain's backbones as MMDetection takes them, with strictly loaded weights."""

from mmrbdc.models.backbones.deit import DeiT
from mmrbdc.models.backbones.resnet import ResNet, ResNetV1c, ResNetV1d
from mmrbdc.models.backbones.transfer import TransferableBackbone, Transferred, own_backbones

__all__ = [
    "DeiT",
    "ResNet",
    "ResNetV1c",
    "ResNetV1d",
    "TransferableBackbone",
    "Transferred",
    "own_backbones",
]
