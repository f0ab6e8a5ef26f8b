"""ResNets as detection backbones: MMPretrain's own, whose V1c and V1d differ from MMDetection's.

Freezing: MMDetection's ResNet configs freeze the stem and the first stage and keep BatchNorm in
eval mode, tuned for one public checkpoint. Ours train everything, BatchNorm's statistics included
(``frozen_stages=-1``, ``norm_eval=False``, the constructors' defaults): grown, scratch and random
backbones get the same policy, and none is tied to the statistics it came with.
"""

from typing import Any

from mmpretrain.models import backbones

from mmrbdc.registry import MODELS

from .transfer import TransferableBackbone, backbone_architecture


@MODELS.register_module()
class ResNet(TransferableBackbone, backbones.ResNet):
    """MMPretrain's ``ResNet``.

    ``forward`` takes (N, 3, H, W) and returns a tuple of the maps of the stages ``out_indices``:
    strides 4, 8, 16, 32 with the usual strides.

    Args:
        kwargs: arguments of ``mmpretrain.ResNet``; ``base_channels`` and ``stem_channels`` are the
            checkpoint's.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.architecture = backbone_architecture({"type": "ResNet", **kwargs})


@MODELS.register_module()
class ResNetV1c(TransferableBackbone, backbones.ResNetV1c):
    """MMPretrain's ``ResNetV1c``: three 3x3 convolutions as stem; see :class:`ResNet`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.architecture = backbone_architecture({"type": "ResNetV1c", **kwargs})


@MODELS.register_module()
class ResNetV1d(TransferableBackbone, backbones.ResNetV1d):
    """MMPretrain's ``ResNetV1d``: V1c with pooling in the shortcut; see :class:`ResNet`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.architecture = backbone_architecture({"type": "ResNetV1d", **kwargs})
