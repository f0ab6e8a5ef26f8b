"""Transforms of MMPretrain and MMCV in less time: the same draws, the same pixels.

What a transform makes of a pixel's value alone, whatever is around it, is a table of 256 values a
channel. The stock transform itself makes the table, of a ramp; where the table follows from the
whole image (its range, a histogram, a mean), it is made here.
"""

from collections.abc import Callable
from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms import RandomFlip as MMCVRandomFlip
from mmpretrain.datasets import transforms as stock

_RAMP = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
_FLIPS = {"horizontal": 1, "vertical": 0, "diagonal": -1}
_EXACT_COUNTS = 2**24
"""OpenCV counts in float32."""


def in_less_time(transform: Any) -> Any:
    """The same transform in less time; ``transform`` itself where there is none, or where it is of
    a derived class.
    """
    kind = type(transform)
    if kind in _TABLES:
        return ByTable(transform, _TABLES[kind])
    if kind is MMCVRandomFlip:
        ours = RandomFlip.__new__(RandomFlip)
        ours.__dict__.update(transform.__dict__)
        return ours
    return transform


class ByTable:
    """A stock transform that exchanges values, by a table of them; what it draws it draws.

    Args:
        transform: the stock one.
        table: makes (256, 1, 3) bytes of it and an image (H, W, 3) of bytes; None where the draw
            leaves the image alone.
    """

    def __init__(
        self, transform: Any, table: Callable[[Any, np.ndarray], np.ndarray | None]
    ) -> None:
        self.transform = transform
        self.table = table

    def __call__(self, results: dict) -> dict:
        """Apply it to ``img``, of (H, W, 3) bytes; another kind of image is the stock one's."""
        image = results["img"]
        if not _has_table(image):
            return self.transform(results)
        if (table := self.table(self.transform, image)) is not None:
            results["img"] = cv2.LUT(np.ascontiguousarray(image), table)
        return results

    def __repr__(self) -> str:
        return repr(self.transform)


def _of_values(transform: Any, image: np.ndarray) -> np.ndarray | None:
    """Of a transform that sees each value alone: what it makes of a ramp."""
    table = transform(dict(img=_RAMP.copy()))["img"]
    return None if np.array_equal(table, _RAMP) else table


def _of_ranges(transform: Any, image: np.ndarray) -> np.ndarray | None:
    """``AutoContrast``'s, from each channel's least and largest value."""
    if transform.random_disable():
        return None
    least, most = (_over_pixels(image, kind) for kind in (cv2.REDUCE_MIN, cv2.REDUCE_MAX))
    tables = [_stretching(*ends) for ends in zip(least, most, strict=True)]
    return np.stack(tables, axis=1)[:, None]


def _of_histograms(transform: Any, image: np.ndarray) -> np.ndarray | None:
    """``Equalize``'s (Pillow's ``ImageOps.equalize``), from each channel's histogram."""
    if transform.random_disable():
        return None
    tables = [_equalizing(_histogram(image, channel)) for channel in range(3)]
    return np.stack(tables, axis=1)[:, None]


def _of_mean(transform: Any, image: np.ndarray) -> np.ndarray | None:
    """``Contrast``'s, from the mean of the grey image."""
    if transform.random_disable():
        return None
    given = transform.random_magnitude() if transform.magnitude is None else transform.magnitude
    factor = 1 + transform.random_negative(given)
    grey = mmcv.bgr2gray(image)
    mean = np.full(_RAMP.shape, round(grey.sum() / grey.size), np.float32)
    table = cv2.addWeighted(_RAMP.astype(np.float32), factor, mean, 1 - factor, 0)
    return np.clip(table, 0, 255).astype(np.uint8)


_TABLES: dict[type, Callable[[Any, np.ndarray], np.ndarray | None]] = {
    stock.AutoContrast: _of_ranges,
    stock.Contrast: _of_mean,
    stock.Equalize: _of_histograms,
    stock.Solarize: _of_values,
    stock.SolarizeAdd: _of_values,
}
"""The others take no longer without a table."""


class RandomFlip(MMCVRandomFlip):
    """MMCV's, whose flipped picture lies in memory as others do: what comes behind it takes a
    fifth of a millisecond less.
    """

    def _flip(self, results: dict) -> None:
        image = results["img"]
        super()._flip(results)
        if image.flags.c_contiguous and _has_table(image):
            results["img"] = cv2.flip(image, _FLIPS[results["flip_direction"]])


def _has_table(image: Any) -> bool:
    return (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 3
        and image.shape[2] == 3
        and image.size <= _EXACT_COUNTS
    )


def _stretching(least: int, most: int) -> np.ndarray:
    """The table that spreads values of this range over 0 to 255."""
    values = np.arange(256)
    if least < most:
        scale = 255.0 / (int(most) - int(least))
        values = np.clip(values * scale + -int(least) * scale, 0, 255)
    return values.astype(np.uint8)


def _over_pixels(image: np.ndarray, kind: int) -> np.ndarray:
    """The least or largest value of each channel."""
    return cv2.reduce(cv2.reduce(np.ascontiguousarray(image), 0, kind), 1, kind).reshape(3)


def _histogram(image: np.ndarray, channel: int) -> np.ndarray:
    counts = cv2.calcHist([np.ascontiguousarray(image)], [channel], None, [256], [0, 256])
    return counts.ravel().astype(np.int64)


def _equalizing(counts: np.ndarray) -> np.ndarray:
    """The table that spreads values of these counts over 0 to 255."""
    step = (counts.sum() - counts[counts.nonzero()[0][-1]]) // 255
    if not step:
        return _RAMP[:, 0, 0]
    below = np.concatenate([[0], counts.cumsum()[:-1]])
    return np.where(np.arange(256) > 0, np.minimum((below + step // 2) // step, 255), 0).astype(
        np.uint8
    )
