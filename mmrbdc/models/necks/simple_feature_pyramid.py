"""The simple feature pyramid of ViTDet (arXiv 2203.16527, section 3 and figure 2)."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrbdc.registry import MODELS
from mmrbdc.wording import counted


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Several scales from a plain backbone's single map, each made from that map alone.

    A finer level comes by transposed convolutions of stride 2, each halving the channels, with norm
    and GELU between them; a coarser one by max pooling. Every level then has a 1x1 and a 3x3
    convolution with norm. Levels beyond ``strides`` are taken from the last one by dropping every
    second pixel, for the region proposals of large objects.

    ``forward`` takes a tuple of one map (N, in_channels, h, w) and returns a tuple of ``num_outs``
    maps (N, out_channels, ., .), finest first.

    Args:
        in_channels: channels of the map.
        in_stride: its stride in pixels: the backbone's patch size.
        out_channels: channels of every level.
        strides: of the levels, finest first; each is ``in_stride`` times a power of two.
        num_outs: number of levels returned, at least ``len(strides)``.
        norm_cfg: norm of the convolutions, over the channels by default.

    Raises:
        ValueError: a stride out of reach, too many halvings of the channels, or ``num_outs`` too
            small; in ``forward``, several maps or one of another width.
    """

    def __init__(
        self,
        in_channels: int,
        in_stride: int,
        out_channels: int = 256,
        strides: Sequence[int] = (4, 8, 16, 32),
        num_outs: int = 5,
        norm_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_outs < len(strides):
            raise ValueError(f"num_outs={num_outs} is less than the {len(strides)} strides")
        norm_cfg = norm_cfg or {"type": "mmpretrain.LN2d", "eps": 1e-6}
        self.in_channels = in_channels
        self.num_extra = num_outs - len(strides)
        self.levels = nn.ModuleList(
            _level(in_channels, _octaves(in_stride, stride), out_channels, norm_cfg)
            for stride in strides
        )

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the levels, finest first."""
        widths = [feature.shape[1] for feature in inputs]
        if widths != [self.in_channels]:
            raise ValueError(
                f"SimpleFeaturePyramid of in_channels={self.in_channels} got "
                f"{counted(len(widths), 'map')} of {', '.join(map(str, widths))} channels: it "
                "takes the one map of a plain backbone; set the neck's in_channels to the "
                "backbone's embed_dims"
            )
        (feature,) = inputs
        levels = [level(feature) for level in self.levels]
        for _ in range(self.num_extra):
            levels.append(F.max_pool2d(levels[-1], kernel_size=1, stride=2))
        return tuple(levels)


def _octaves(in_stride: int, stride: int) -> int:
    """Return how often the map is doubled in size to get from one stride to another."""
    large, small = max(in_stride, stride), min(in_stride, stride)
    factor = large // small if small > 0 and large % small == 0 else 0
    if factor < 1 or factor & (factor - 1):
        raise ValueError(
            f"stride {stride} cannot be made from in_stride={in_stride} (the backbone's patch "
            "size): their quotient must be a power of two"
        )
    octaves = factor.bit_length() - 1
    return octaves if in_stride > stride else -octaves


def _level(in_channels: int, octaves: int, out_channels: int, norm_cfg: dict) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = in_channels
    if in_channels % 2 ** max(octaves, 0):
        raise ValueError(
            f"in_channels={in_channels} cannot be halved {octaves} times; leave out the finest "
            "strides"
        )
    for step in range(octaves):
        layers.append(nn.ConvTranspose2d(channels, channels // 2, kernel_size=2, stride=2))
        channels //= 2
        if step < octaves - 1:
            layers += [build_norm_layer(norm_cfg, channels)[1], nn.GELU()]
    if octaves < 0:
        layers.append(nn.MaxPool2d(kernel_size=2**-octaves, stride=2**-octaves))
    for source, kernel in ((channels, 1), (out_channels, 3)):
        layers.append(
            ConvModule(
                source,
                out_channels,
                kernel,
                padding=kernel // 2,
                norm_cfg=norm_cfg,
                act_cfg=None,
            )
        )
    return nn.Sequential(*layers)
