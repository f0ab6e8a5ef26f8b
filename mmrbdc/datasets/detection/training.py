"""What MMDetection's ``CocoDataset`` keeps of a file: its own rules, on columns.

Source: ``parse_data_info`` and ``filter_data`` of ``mmdet/datasets/coco.py``, 3.3.0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mmrbdc.datasets.coco.table import Table
from mmrbdc.datasets.errors import DataError


class Use(Protocol):
    """What a data set does with a file."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of its classes."""

    @property
    def test_mode(self) -> bool:
        """Whether nothing is filtered."""

    @property
    def filter_cfg(self) -> Mapping[str, Any]:
        """``filter_empty_gt`` and ``min_size``."""

    @property
    def polygons_only(self) -> bool:
        """Whether masks stay polygons (``poly2mask=False``), which leaves RLE untrained."""

    @property
    def indices(self) -> Any:
        """The part of the images that is taken."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept.

    Attributes:
        rows: of the table's images.
        objects: that train: of the classes, in these images, no crowds.
        lost: what the other objects are, and how many.
        small_images: images left out by ``min_size``.
        empty_images: images left out by ``filter_empty_gt``.
    """

    rows: np.ndarray
    objects: int
    lost: dict[str, int]
    small_images: int
    empty_images: int

    @property
    def images(self) -> int:
        """How many images are kept."""
        return len(self.rows)

    def reasons(self) -> str:
        """Why objects are left out."""
        told = [f"{count:,} {what}" for what, count in self.lost.items() if count]
        return ", ".join(told) or "it has none"

    def image_reasons(self) -> str:
        """Why images are left out."""
        told = []
        if self.small_images:
            told.append(f"{self.small_images:,} are smaller than filter_cfg.min_size")
        if self.empty_images:
            told.append(
                f"{self.empty_images:,} have no object of the classes (filter_cfg.filter_empty_gt)"
            )
        return ", ".join(told) or "indices takes none"


def what_is_kept(table: Table, use: Use) -> Kept:
    """Say which images and objects a data set keeps.

    Raises:
        DataError: ``indices`` has an image that is not there.
    """
    size = table.image_sizes
    of_class = table.sound & table.of_classes(use.classes)
    left = np.ones(len(size), bool)
    small = empty = 0
    if not use.test_mode and use.filter_cfg:
        if use.filter_cfg.get("filter_empty_gt", False):
            has_object = np.zeros(len(size), bool)
            has_object[table.image[of_class]] = True
            empty = int((~has_object).sum())
            left &= has_object
        large = size.min(axis=1) >= (use.filter_cfg.get("min_size") or 0)
        small = int((left & ~large).sum())
        left &= large
    rows = _taken(np.flatnonzero(left), use.indices)
    taken = np.zeros(len(size), bool)
    taken[rows] = True

    x, y, width, height = table.boxes.T
    frame = size[table.image] if len(table.image) else np.zeros((0, 2))
    inside = (np.minimum(x + width, frame[:, 0]) > np.maximum(x, 0)) & (
        np.minimum(y + height, frame[:, 1]) > np.maximum(y, 0)
    )
    rest = table.sound.copy()
    lost = {}
    bare = ~inside | (table.areas <= 0) | (width < 1) | (height < 1)
    for what, leaves in (
        ("of other categories", ~of_class),
        ("marked 'ignore'", table.ignored),
        ("without area in the image, or less than a pixel wide or high", bare),
        ("crowds", table.crowd),
        ("with an RLE, which poly2mask=False does not train", table.rle & use.polygons_only),
        ("in images that are left out", ~taken[table.image]),
    ):
        lost[what] = int((rest & leaves).sum())
        rest &= ~leaves
    return Kept(rows, int(rest.sum()), lost, small, empty)


def _taken(rows: np.ndarray, indices: Any) -> np.ndarray:
    """The part that MMEngine's ``indices`` takes of the images that are left."""
    if indices is None:
        return rows
    if isinstance(indices, int):
        return rows[:indices] if indices >= 0 else rows[indices:]
    wanted = np.asarray(list(indices), np.int64)
    beyond = (wanted >= len(rows)) | (wanted < -len(rows))
    if beyond.any():
        raise DataError(
            f"indices has {wanted[beyond][0]}, but {len(rows):,} images are left to choose from"
        )
    return rows[wanted]
