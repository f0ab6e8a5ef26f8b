"""Transforms of MMPretrain and MMCV in less time: the same draws, the same pixels.

What a transform makes of a pixel's value alone, whatever is around it, is a table of 256 values a
channel. The stock transform itself makes the table, of a ramp; where the table follows from the
whole image (its range, a histogram, a mean), it is made here.
"""

from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms import RandomFlip as MMCVRandomFlip
from mmpretrain.datasets import transforms as stock

_POINTWISE = (stock.Solarize, stock.SolarizeAdd)
"""The others take no longer without a table."""

_RAMP = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
_FLIPS = {"horizontal": 1, "vertical": 0, "diagonal": -1}
_EXACT_COUNTS = 2**24
"""OpenCV counts in float32."""


def in_less_time(transform: Any) -> Any:
    """The same transform in less time; ``transform`` itself where there is none, or where it is of
    a derived class.
    """
    kind = type(transform)
    if kind in _POINTWISE:
        return Pointwise(transform)
    if kind in _OURS:
        ours = _OURS[kind].__new__(_OURS[kind])
        ours.__dict__.update(transform.__dict__)
        return ours
    return transform


class Pointwise:
    """A transform that sees each value alone. Everything but the pixels is the stock one's.

    Args:
        transform: called with a ramp in the place of an image, so that it draws as it does.
    """

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __call__(self, results: dict) -> dict:
        """Apply it to ``img``, of (H, W, 3) bytes; another kind of image is the stock one's."""
        image = results["img"]
        if not _has_table(image):
            return self.transform(results)
        table = self.transform(dict(img=_RAMP.copy()))["img"]
        if not np.array_equal(table, _RAMP):
            results["img"] = _by_table(image, table)
        return results

    def __repr__(self) -> str:
        return repr(self.transform)


class AutoContrast(stock.AutoContrast):
    """MMPretrain's, whose table follows from each channel's least and largest value."""

    def transform(self, results: dict) -> dict:
        """Apply it to ``img``."""
        image = results["img"]
        if not _has_table(image):
            return super().transform(results)
        if not self.random_disable():
            least, most = (_over_pixels(image, kind) for kind in (cv2.REDUCE_MIN, cv2.REDUCE_MAX))
            tables = [_stretching(*ends) for ends in zip(least, most, strict=True)]
            results["img"] = _by_table(image, np.stack(tables, axis=1)[:, None])
        return results


class Equalize(stock.Equalize):
    """MMPretrain's (Pillow's ``ImageOps.equalize``), whose table follows from a histogram."""

    def transform(self, results: dict) -> dict:
        """Apply it to ``img``."""
        image = results["img"]
        if not _has_table(image):
            return super().transform(results)
        if not self.random_disable():
            tables = [_equalizing(_histogram(image, channel)) for channel in range(3)]
            results["img"] = _by_table(image, np.stack(tables, axis=1)[:, None])
        return results


class Contrast(stock.Contrast):
    """MMPretrain's, whose table follows from the mean of the grey image."""

    def transform(self, results: dict) -> dict:
        """Apply it to ``img``."""
        image = results["img"]
        if not _has_table(image):
            return super().transform(results)
        if not self.random_disable():
            given = self.random_magnitude() if self.magnitude is None else self.magnitude
            factor = 1 + self.random_negative(given)
            grey = mmcv.bgr2gray(image)
            mean = np.full(_RAMP.shape, round(grey.sum() / grey.size), np.float32)
            table = cv2.addWeighted(_RAMP.astype(np.float32), factor, mean, 1 - factor, 0)
            results["img"] = _by_table(image, np.clip(table, 0, 255).astype(np.uint8))
        return results


class RandomFlip(MMCVRandomFlip):
    """MMCV's, whose flipped picture lies in memory as others do: what comes behind it takes a
    fifth of a millisecond less.
    """

    def _flip(self, results: dict) -> None:
        image = results["img"]
        super()._flip(results)
        if image.flags.c_contiguous and _has_table(image):
            results["img"] = cv2.flip(image, _FLIPS[results["flip_direction"]])


_OURS: dict[type, Any] = {
    MMCVRandomFlip: RandomFlip,
    stock.AutoContrast: AutoContrast,
    stock.Contrast: Contrast,
    stock.Equalize: Equalize,
}


def _has_table(image: Any) -> bool:
    return (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 3
        and image.shape[2] == 3
        and image.size <= _EXACT_COUNTS
    )


def _by_table(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Exchange every value.

    Args:
        image: (H, W, 3).
        table: (256, 1, 3).
    """
    return cv2.LUT(np.ascontiguousarray(image), table)


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
