"""A random part of a picture, resized: decoded and resized by less work where that is asked for."""

from typing import Any, NamedTuple

import cv2
import mmcv
import numpy as np
import torch
from mmpretrain.datasets import RandomResizedCrop as StockRandomResizedCrop

from mmrbdc.registry import TRANSFORMS

_DIVISORS = (8, 4, 2)
"""By which libjpeg can divide a picture's sides while it decodes."""


class DrawnPart(NamedTuple):
    """A part of a picture that was drawn before the picture was decoded.

    Attributes:
        box: top, left, height and width in the picture as it is decoded.
        divisor: by which its sides are divided while it is decoded.
        whole: height and width of the whole picture.
    """

    box: tuple[int, int, int, int]
    divisor: int
    whole: tuple[int, int]


@TRANSFORMS.register_module()
class RandomResizedCrop(StockRandomResizedCrop):
    """MMPretrain's transform, which draws the same parts, with two faster ways to their pixels.

    Args:
        args: MMPretrain's, and so is what they do.
        backend: ``"torch"`` resizes as torchvision does tensors (antialiased, in bytes), for
            ``"bilinear"`` and ``"bicubic"``: within 2 of 255 of ``"pillow"``, in a quarter of its
            time. ``"pillow"`` and ``"cv2"`` are MMPretrain's.
        dct_scaling: let libjpeg halve, quarter or divide by eight a JPEG whose drawn part is as
            many times larger than what is made of it. Needs ``LoadImageFromFile`` right in front,
            in a run of mmrbdc. The part's edges then fall on whole pixels of the smaller picture.
        kwargs: MMPretrain's.

    Raises:
        ValueError: another interpolation with ``backend="torch"``.
    """

    def __init__(
        self, *args: Any, backend: str = "cv2", dct_scaling: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, backend=backend, **kwargs)
        if backend == "torch" and self.interpolation not in ("bilinear", "bicubic"):
            raise ValueError(
                f"RandomResizedCrop(backend='torch', interpolation={self.interpolation!r}): torch "
                "resizes by 'bilinear' or 'bicubic'; take one of them, or backend='pillow'"
            )
        self.dct_scaling = dct_scaling
        self.drawn_by_loader = False

    def draw(self, height: int, width: int) -> DrawnPart:
        """Draw a part of a picture that is not decoded yet."""
        # The stock method reads nothing but an array's shape.
        top, left, high, wide = self.rand_crop_params(np.broadcast_to(np.uint8(0), (height, width)))
        times = min(high / self.scale[0], wide / self.scale[1])
        divisor = next((by for by in _DIVISORS if by <= times), 1)
        top, bottom, left, right = (
            round(edge / divisor) for edge in (top, top + high, left, left + wide)
        )
        return DrawnPart((top, left, bottom - top, right - left), divisor, (height, width))

    def transform(self, results: dict) -> dict:
        """Exchange ``img`` (H, W, C), or the part of it that was drawn while it was decoded
        (``crop_box``: top, left, height, width), by a picture of ``scale``.
        """
        if self.dct_scaling and not self.drawn_by_loader:
            raise ValueError(
                "RandomResizedCrop(dct_scaling=True): the picture was decoded without it; put "
                "LoadImageFromFile right in front and train by mmrbdc, or leave dct_scaling out"
            )
        image = results["img"]
        box = results.pop("crop_box", None) or self.rand_crop_params(image)
        top, left, high, wide = box
        part = image[top : top + high, left : left + wide]
        results["img"] = self._resized(part)
        results["img_shape"] = results["img"].shape
        return results

    def _resized(self, part: np.ndarray) -> np.ndarray:
        if self.backend != "torch":
            size = tuple(self.scale[::-1])
            return mmcv.imresize(part, size, interpolation=self.interpolation, backend=self.backend)
        if part.dtype != np.uint8:
            raise ValueError(
                f"RandomResizedCrop(backend='torch') resizes bytes, got {part.dtype}: leave "
                "to_float32 out of LoadImageFromFile"
            )
        grey = part.ndim == 2
        pixels = torch.from_numpy(np.ascontiguousarray(part[..., None] if grey else part))
        planes = torch.nn.functional.interpolate(
            pixels.permute(2, 0, 1)[None],
            size=tuple(self.scale),
            mode=self.interpolation,
            antialias=True,
        )
        return planes[0, 0].numpy() if grey else cv2.merge(list(planes[0].numpy()))

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, dct_scaling={self.dct_scaling})"
