"""scikit-learn's 1,797 handwritten digits, split once for all and written as an ImageFolder.

The digits are 8 x 8 pictures with 17 grey levels, of the test part of the UCI set "Optical
Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, 1998, CC BY 4.0), which
scikit-learn carries: nothing is downloaded.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.made.stamped_folder import make_folder

CLASSES = tuple(str(digit) for digit in range(10))
POOLS = {"train": 1000, "val": 300, "test": 497}
"""How many digits each split can use. No tuning looks at ``test``: it is for published numbers."""
SMALL_TRAIN = 200
"""Training digits of ``digits_small``, for models that solve the task with all of them."""
IMAGE_SIZE = 32
DRAWN_SIZE = 28
"""Side of the 8 x 8 grid in an image of ``IMAGE_SIZE``, pixels; a margin is left for crops."""


@cache
def load_table() -> tuple[np.ndarray, np.ndarray]:
    """The digits and their classes, in scikit-learn's order.

    Returns:
        Intensities of the ink in 0..1, (1797, 8, 8) float64, and classes 0..9, (1797,) int64.
    """
    # Imported here: it takes a second, and whoever trains on other data needs no scikit-learn.
    from sklearn.datasets import load_digits

    table = load_digits()
    return table.images / 16.0, table.target.astype(np.int64)


def split_digits(seed: int = 0) -> dict[str, np.ndarray]:
    """Disjoint stratified splits of scikit-learn's table.

    Every class is shuffled and spread evenly over one sequence, which is then cut. So not only
    the splits are stratified, but the first n digits of each are as well.

    Returns:
        For each split of ``POOLS`` the indices into the table, in the order to take them.
    """
    _, classes = load_table()
    rng = np.random.default_rng(seed)
    position = np.empty(len(classes))
    for digit in range(len(CLASSES)):
        members = np.flatnonzero(classes == digit)
        position[rng.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
    sequence = np.argsort(position, kind="stable")
    ends = np.cumsum(list(POOLS.values()))
    assert ends[-1] == len(classes), "the splits cover scikit-learn's table"
    return dict(zip(POOLS, np.split(sequence, ends[:-1]), strict=True))


def draw_digit(digit: np.ndarray, size: float, canvas: int, angle: float = 0.0) -> np.ndarray:
    """Enlarge a digit smoothly (cubic spline) and turn it about the centre of a canvas.

    Args:
        digit: ink in 0..1, (8, 8).
        size: side of the enlarged 8 x 8 grid in pixels.
        canvas: side of the result in pixels.
        angle: counterclockwise turn in degrees.

    Returns:
        Ink in 0..1, (canvas, canvas).
    """
    from scipy import ndimage

    turn = np.deg2rad(angle)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    matrix *= digit.shape[0] / size
    offset = (digit.shape[0] - 1) / 2 - matrix @ np.full(2, (canvas - 1) / 2)
    ink = ndimage.affine_transform(
        digit, matrix, offset, (canvas, canvas), order=3, mode="grid-constant"
    )
    return np.clip(ink, 0.0, 1.0)


def make_digits(
    root: str | os.PathLike[str],
    *,
    counts: Mapping[str, int] | None = None,
    seed: int = 0,
    force: bool = False,
) -> bool:
    """Write the digits as ``root/{train,val,test}/{0..9}/NNNN.png``, 32 x 32 RGB, white on black.

    NNNN is the digit's index in scikit-learn's table.

    Args:
        root: the folder to make; see ``make_folder`` for one that exists.
        counts: digits per split, at most ``POOLS``; a split that is not named is whole.
            Fewer digits of a split are the first of the whole split.
        seed: of the splits.
        force: make the folder again even if it is current.

    Returns:
        Whether the folder was made by this call.
    """
    counts = check_counts({**POOLS, **(counts or {})}, POOLS)

    def write(folder: Path) -> None:
        from PIL import Image

        digits, classes = load_table()
        for split, indices in split_digits(seed).items():
            for name in CLASSES:
                (folder / split / name).mkdir(parents=True)
            for index in indices[: counts[split]]:
                ink = draw_digit(digits[index], DRAWN_SIZE, IMAGE_SIZE)
                grey = np.rint(ink * 255).astype(np.uint8)
                path = folder / split / CLASSES[classes[index]] / f"{index:04d}.png"
                Image.fromarray(np.stack([grey] * 3, axis=-1)).save(path)

    parameters = {"what": "digits", "version": 1, "counts": counts, "seed": seed}
    return make_folder(root, parameters, write, force=force)


def check_counts(counts: Mapping[str, int], limits: Mapping[str, int | None]) -> dict[str, int]:
    """Check that there is a positive count within its limit for every split and for no other."""
    for split, count in counts.items():
        if split not in limits:
            raise DataError(f"there is no split '{split}', only {', '.join(limits)}")
        limit = limits[split]
        if count < 1 or (limit is not None and count > limit):
            allowed = "at least 1" if limit is None else f"1 to {limit}"
            raise DataError(f"split '{split}' of {count} is not possible: take {allowed}")
    return dict(counts)
