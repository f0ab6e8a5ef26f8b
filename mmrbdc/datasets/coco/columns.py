"""One field of many JSON objects as an array, with a mark for each value that is of the right kind.

A column whose values are all right, as in nearly every file, costs one pass in C.
"""

import contextlib
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from mmrbdc.datasets.coco.findings import MISSING

_LARGEST = 2**63 - 1


def column(rows: Sequence[dict[str, Any]], field: str) -> list[Any]:
    """The values of a field, ``MISSING`` where a row has none."""
    return [row.get(field, MISSING) for row in rows]


def integers(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Values as int64, and which of them are integers of 64 bits; no booleans, no 1.0."""
    if set(map(type, values)) <= {int}:
        try:
            return np.array(values, np.int64), np.ones(len(values), bool)
        except OverflowError:
            pass
    good = [type(value) is int and -_LARGEST <= value <= _LARGEST for value in values]
    kept = [value if ok else 0 for value, ok in zip(values, good, strict=True)]
    return np.array(kept, np.int64), np.array(good, bool)


def numbers(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Values as float64, and which of them are finite numbers; no booleans."""
    found = None
    if set(map(type, values)) <= {int, float}:
        with contextlib.suppress(OverflowError):
            found = np.array(values, np.float64)
    if found is None:
        found = np.array([number(value) for value in values], np.float64)
    return found, np.isfinite(found)


def number(value: Any) -> float:
    """A JSON number as a float, NaN for anything else."""
    if type(value) is not int and type(value) is not float:
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def boxes(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (rows, 4) in float64, and which of them are lists of four finite numbers."""
    four = [type(value) is list and len(value) == 4 for value in values]
    if not all(four):
        values = [v if ok else [None] * 4 for v, ok in zip(values, four, strict=True)]
    flat, finite = numbers(list(chain.from_iterable(values)))
    return flat.reshape(-1, 4), np.asarray(finite.reshape(-1, 4).all(axis=1))


def repeated(values: np.ndarray) -> np.ndarray:
    """Which values were there before, further up."""
    again = np.ones(len(values), bool)
    again[np.unique(values, return_index=True)[1]] = False
    return again


def positions(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The place of each value in ``known``, -1 where it is not there."""
    if not len(known):
        return np.full(len(values), -1)
    order = np.argsort(known, kind="stable")
    place = np.searchsorted(known, values, sorter=order)
    found = order[np.minimum(place, len(known) - 1)]
    return np.where(known[found] == values, found, -1)
