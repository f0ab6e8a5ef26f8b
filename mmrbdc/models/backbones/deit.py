"""DeiT as a detection backbone: MMPretrain's own transformer, one feature map."""

from typing import Any

from mmpretrain.models.backbones import VisionTransformer

from mmrbdc.registry import MODELS

from .transfer import TransferableBackbone, backbone_architecture


@MODELS.register_module()
class DeiT(TransferableBackbone, VisionTransformer):
    """MMPretrain's ``VisionTransformer`` that takes images of any size and returns one map.

    Every token attends to every other (no windows) and the class token takes part as in
    pretraining. The position table keeps its pretraining grid, so a checkpoint always fits; it is
    resized to the image's grid in each forward pass (bicubic, in float32). An image that the patch
    size does not divide is padded with zeros at its right and bottom.

    ``forward`` takes (N, 3, H, W) and returns a tuple of one map (N, embed_dims, ceil(H / patch),
    ceil(W / patch)): the last layer's patch tokens behind the final norm.

    Args:
        arch: name of a size or dict of ``embed_dims``, ``num_layers``, ``num_heads``,
            ``feedforward_channels``.
        img_size: image size of the *pretraining*, which fixes the position table.
        patch_size: height and width of a patch, pixels; the map's stride.
        kwargs: further arguments of ``mmpretrain.VisionTransformer`` (``drop_path_rate``,
            ``frozen_stages``, ``init_cfg``, ...) but ``out_type`` and ``out_indices``.
    """

    def __init__(
        self,
        arch: str | dict = "deit-base",
        img_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] = 16,
        **kwargs: Any,
    ) -> None:
        shape = {"arch": arch, "img_size": img_size, "patch_size": patch_size}
        super().__init__(out_type="featmap", out_indices=-1, **shape, **kwargs)
        self.architecture = backbone_architecture({"type": "VisionTransformer", **shape, **kwargs})
