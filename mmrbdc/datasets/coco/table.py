"""A file of annotations in columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Table:
    """A file in columns; of images and categories all rows, of annotations all, right or wrong.

    Attributes:
        image_ids: (images) int64.
        image_sizes: (images, 2) width and height in pixels, float64.
        file_names: of the images.
        category_ids: (categories) int64.
        names: of the categories.
        ids: (annotations) int64.
        image: (annotations) row of the image.
        category: (annotations) row of the category.
        boxes: (annotations, 4) x, y, width, height in pixels, float64.
        areas: (annotations) square pixels, float64.
        crowd: (annotations) whether it stands for many objects.
        ignored: (annotations) whether it has a true ``ignore``, with which MMDetection leaves it
            out of training.
        rle: (annotations) whether its mask is an RLE.
        sound: (annotations) whether all of these are right; where not, they mean nothing.
    """

    image_ids: np.ndarray
    image_sizes: np.ndarray
    file_names: list[str]
    category_ids: np.ndarray
    names: list[str]
    ids: np.ndarray
    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray
    ignored: np.ndarray
    rle: np.ndarray
    sound: np.ndarray

    def of_classes(self, classes: Sequence[str] | None) -> np.ndarray:
        """(annotations) whether the category is one of these; of any where None."""
        if classes is None:
            return np.ones(len(self.category), bool)
        wanted = np.array([name in classes for name in self.names], bool)
        return wanted[self.category]
