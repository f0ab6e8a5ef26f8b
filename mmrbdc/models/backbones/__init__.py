"""MMPretrain's backbones as MMDetection takes them, with strictly loaded weights."""

from .deit import DeiT
from .load_report import LoadReportHook
from .resnet import ResNet, ResNetV1c, ResNetV1d
from .transfer import TransferableBackbone, Transferred

__all__ = [
    "DeiT",
    "LoadReportHook",
    "ResNet",
    "ResNetV1c",
    "ResNetV1d",
    "TransferableBackbone",
    "Transferred",
]
