"""Masks without a pixel, and masks that do not touch their own box.

Neither stops pycocotools, and both are learned and scored: a mask head learns nothing for a box
that has something in it, and a perfect mask of nothing counts as a miss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as mask_utils

from mmrbdc.datasets.coco.polygons import Polygons
from mmrbdc.datasets.coco.table import Table

_NO_AREA = 1e-3
"""Square pixels of an outline that goes back on itself; annotators write hundredths of pixels."""
_APART = 1.0
"""Pixels between a mask and its box above which they do not touch: annotators round."""
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class Outlines:
    """The polygons of some annotations, of three points or more each.

    Attributes:
        owner: (polygons) place of the annotation, ascending; every annotation has one.
        numbers: (polygons) place in ``Polygons``.
        low: (polygons, 2) lowest x and y, pixels.
        high: (polygons, 2) highest.
        sizes: (annotations, 2) width and height of the image.
    """

    owner: np.ndarray
    numbers: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sizes: np.ndarray

    def bounds(self) -> np.ndarray:
        """(annotations, 4) left, top, right and bottom of all polygons together."""
        first = np.flatnonzero(np.diff(self.owner, prepend=-1))
        if not len(first):
            return np.zeros((0, 4))
        return np.concatenate(
            [np.minimum.reduceat(self.low, first), np.maximum.reduceat(self.high, first)], axis=1
        )

    def without_pixel(self, polygons: Polygons) -> tuple[np.ndarray, np.ndarray]:
        """Find the masks that have no pixel as pycocotools fills them.

        Only those that are small, thin, or mostly outside of the image are filled: what has the
        area of a strip two pixels wide has a pixel.

        Returns:
            (annotations) bool twice: all that have none, and those of them of which nothing is in
            the image, or which are a line.
        """
        frame = self.sizes[self.owner]
        area = _areas(polygons)[self.numbers]
        whole = (self.high - self.low).prod(axis=1)
        inner = np.minimum(self.high, frame) - np.maximum(self.low, 0)
        part = np.maximum(inner, 0).prod(axis=1)
        span = (self.high - self.low).max(axis=1, initial=0)
        sure = area - (whole - part) >= 2 * span + 4
        doubtful = np.ones(len(self.sizes), bool)
        doubtful[self.owner[sure]] = False
        none = np.zeros(len(self.sizes), bool)
        for place in np.flatnonzero(doubtful):
            mine = slice(*np.searchsorted(self.owner, [place, place + 1]))
            filled = mask_utils.frPyObjects(
                [polygons.outline(n).reshape(-1).tolist() for n in self.numbers[mine]],
                *self.sizes[place, ::-1].astype(int).tolist(),
            )
            # One by one: pycocotools takes no more than 255 at once with NumPy 2.
            none[place] = not any(mask_utils.area(mask) for mask in filled)
        solid = np.zeros(len(self.sizes), bool)
        solid[self.owner[(area > _NO_AREA) & (inner > 0).all(axis=1)]] = True
        return none, none & ~solid


def trained(table: Table) -> np.ndarray:
    """(annotations) whether MMDetection trains on the object, or would if it had a mask."""
    large = (table.boxes[:, 2:] >= 1).all(axis=1) & (table.areas > 0)
    return table.sound & ~table.crowd & ~table.ignored & large


def apart(boxes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """(annotations) whether boxes (x, y, width, height) and the bounds of masks (left, top, right,
    bottom) lie apart.
    """
    gap = np.maximum(bounds[:, :2] - boxes[:, :2] - boxes[:, 2:], boxes[:, :2] - bounds[:, 2:])
    return np.asarray((gap > _APART).any(axis=1))


def runs_bounds(runs: Sequence[int] | np.ndarray, height: int) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of the mask of an RLE; None where it has no pixel.

    Args:
        runs: lengths of background and mask by turns, down the columns of the image.
        height: of the image.
    """
    ends = np.cumsum(np.asarray(runs, np.int64))
    starts, last = ends[:-1:2], ends[1::2] - 1
    starts, last = starts[last >= starts], last[last >= starts]
    if not len(starts):
        return None
    left, right = int(starts[0]) // height, int(last[-1]) // height + 1
    if (starts // height != last // height).any():
        return left, 0, right, height
    return left, int((starts % height).min()), right, int((last % height).max()) + 1


def _areas(polygons: Polygons) -> np.ndarray:
    """The area of each polygon in square pixels; of one that crosses itself, parts cancel out."""
    bounds = polygons.starts
    areas = np.zeros(len(bounds) - 1)
    first = 0
    while first < len(areas):
        last = int(np.searchsorted(bounds, bounds[first] + _CHUNK, side="right")) - 1
        last = min(max(last, first + 1), len(areas))
        points = polygons.points[bounds[first] : bounds[last]]
        filled = first + np.flatnonzero(np.diff(bounds[first : last + 1]))
        if len(filled):
            begin = bounds[filled] - bounds[first]
            after = np.roll(points, -1, axis=0)
            after[bounds[filled + 1] - bounds[first] - 1] = points[begin]
            with np.errstate(over="ignore", invalid="ignore"):
                cross = points[:, 0] * after[:, 1] - after[:, 0] * points[:, 1]
                areas[filled] = np.abs(np.add.reduceat(cross, begin)) / 2
        first = last
    return areas
