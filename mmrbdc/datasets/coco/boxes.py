"""The rules for where boxes lie."""

from typing import Any

import numpy as np

from mmrbdc.datasets.coco.findings import MISSING, Findings
from mmrbdc.datasets.coco.table import Table

TOLERANCE = 1.0
"""Pixels by which a box may reach over the border of its image: annotators round."""
OVERHANG = 0.02
"""Share of the image's side by which it may do so with a remark."""
_LARGE = 4
"""Pixels: in images with a shorter side, boxes within the first pixel are no wonder."""


def judge_boxes(table: Table, rows: list[dict[str, Any]], found: Findings) -> None:
    """Judge where boxes lie, and tell of those that MMDetection does not train on.

    Boxes outside of their image, or parts of it, are no longer ``sound`` afterwards.
    """
    x, y, width, height = table.boxes.T
    size = table.image_sizes[table.image] if len(table.image) else np.zeros((0, 2))
    if _all_normalised(table, size):
        _note(
            table,
            rows,
            table.sound.copy(),
            "bbox",
            "and all boxes of the file lie within 0 to 1: they look divided by the image's size, "
            "as YOLO has them; COCO's bbox is x, y of the upper left corner, width and height in "
            "pixels",
            "multiply by the image's width and height; where the first two numbers are the box's "
            "centre, then take half of width and height off them",
            found,
            is_error=True,
        )
        table.sound[:] = False
        return
    with np.errstate(over="ignore", invalid="ignore"):
        over = np.stack(
            [np.maximum(-x, x + width - size[:, 0]), np.maximum(-y, y + height - size[:, 1])], 1
        )
    outside = table.sound & ~(over <= np.maximum(TOLERANCE, OVERHANG * size)).all(axis=1)
    _note(
        table,
        rows,
        outside,
        "bbox",
        "outside of the image; bbox is x, y, width, height",
        "correct the box, or the image's width and height",
        found,
        is_error=True,
    )
    table.sound[outside] = False
    ledge = table.sound & (over > TOLERANCE).any(axis=1)
    _note(table, rows, ledge, "bbox", "a little over the border of its image", "", found)
    flat = table.sound & ((width <= 0) | (height <= 0) | (table.areas <= 0))
    untrained = "which MMDetection leaves out of training and evaluation counts as an object"
    no_area = f"of zero area, {untrained}"
    _note(table, rows, flat & (table.areas > 0), "bbox", no_area, "", found)
    _note(table, rows, flat & (table.areas <= 0), "area", no_area, "", found)
    thin = table.sound & ~flat & ((width < 1) | (height < 1))
    _note(table, rows, thin, "bbox", f"less than a pixel wide or high, {untrained}", "", found)
    _note(table, rows, table.sound & table.ignored, "ignore", untrained, "", found)
    again = _again(table)
    if again.any():
        told = "as another annotation of the same image and category; each counts as an object"
        _note(table, rows, again, "bbox", told, "", found)


def _again(table: Table) -> np.ndarray:
    """(annotations) whether an earlier one has the same image, category and box; crowds apart."""
    single = np.flatnonzero(table.sound & ~table.crowd)
    keys = [*table.boxes[single].T, table.category[single], table.image[single]]
    order = np.lexsort(keys)  # stable, so that the first of equal ones stays first
    same = np.ones(max(len(single) - 1, 0), bool)
    for key in keys:
        same &= key[order][1:] == key[order][:-1]
    again = np.zeros(len(table.ids), bool)
    again[single[order[1:][same]]] = True
    return again


def _all_normalised(table: Table, size: np.ndarray) -> bool:
    """Whether no box reaches beyond the first pixel of its image, and some are parts of it."""
    boxes = table.boxes[table.sound]
    return bool(
        len(boxes)
        and (np.abs(boxes) <= 1).all()
        and (boxes != np.round(boxes)).any()
        and (size[table.sound] > _LARGE).all()
    )


def _note(
    table: Table,
    rows: list[dict[str, Any]],
    which: np.ndarray,
    field: str,
    problem: str,
    remedy: str,
    found: Findings,
    *,
    is_error: bool = False,
) -> None:
    places = np.flatnonzero(which)
    if len(places):
        value = rows[places[0]].get(field, MISSING)
        ids = table.ids[places].tolist()
        found.entries("annotations", ids, field, value, problem, remedy, is_error=is_error)
