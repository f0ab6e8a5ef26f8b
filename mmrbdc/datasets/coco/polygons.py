"""The polygons of a COCO file in one array: a tenth of the memory of Python's lists of numbers."""

from array import array
from itertools import pairwise
from typing import Any

import numpy as np

_NUMBERS = frozenset((int, float))


class Polygons:
    """All polygons of a file, in the order in which they stand there.

    While the file is read, each list of polygons is put here and its place stands in for it: a
    tuple (first polygon, number of polygons), which JSON itself never gives.

    Attributes:
        points: of all polygons, (points, 2) in float64, x and y in pixels.
        starts: the first point of each polygon, and one more for the end of the last.
    """

    points: np.ndarray
    starts: np.ndarray

    def __init__(self) -> None:
        self._values = array("d")
        self._ends = array("q", [0])

    def pack(self, polygons: list[Any]) -> tuple[int, int] | list[Any]:
        """Take in a list of polygons [x1, y1, x2, y2, ...].

        Returns:
            Its place; what was given where it is anything else, or has an odd number of values.
        """
        first, before = len(self._ends) - 1, len(self._values)
        for polygon in polygons:
            if (
                type(polygon) is list
                and not len(polygon) % 2
                and _NUMBERS.issuperset(map(type, polygon))
            ):
                try:
                    self._values.fromlist(polygon)
                    self._ends.append(len(self._values))
                    continue
                except OverflowError:  # an integer beyond what a float holds
                    pass
            del self._values[before:], self._ends[first + 1 :]
            return polygons
        return first, len(polygons)

    def close(self) -> None:
        """End the collecting."""
        self.points = np.frombuffer(self._values, np.float64).reshape(-1, 2)
        self.starts = np.frombuffer(self._ends, np.int64) // 2

    def outline(self, number: int) -> np.ndarray:
        """The points of one polygon, (points, 2)."""
        return self.points[self.starts[number] : self.starts[number + 1]]

    def unpack(self, place: tuple[int, int]) -> list[np.ndarray]:
        """Return the polygons of at least three points at a place, each flat as in the file.

        They are views of the one array. pycocotools and MMDetection make arrays of polygons first.
        """
        first, count = place
        bounds = self.starts[first : first + count + 1].tolist()
        return [
            self.points[start:end].reshape(-1)
            for start, end in pairwise(bounds)
            if end - start >= 3
        ]
