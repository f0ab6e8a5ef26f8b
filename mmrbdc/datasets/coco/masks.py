"""The rules for masks: polygons and RLE, before pycocotools meets them.

pycocotools checks nothing: an RLE that does not cover its image hangs it, a coordinate of 2e8 takes
all memory, a polygon of four values is read as a box.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from mmrbdc.datasets.coco.blank import Outlines, apart, runs_bounds, trained
from mmrbdc.datasets.coco.columns import column
from mmrbdc.datasets.coco.findings import MISSING, Findings
from mmrbdc.datasets.coco.polygons import Polygons
from mmrbdc.datasets.coco.rle import MOST, listed_runs, rle_runs
from mmrbdc.datasets.coco.table import Table

LONGEST_OUTLINE = 1e7
"""Pixels of a polygon's outline: pycocotools takes 100 bytes for each while it fills it."""


def judge_masks(
    table: Table,
    rows: list[dict],
    polygons: Polygons,
    masks: bool | None,
    found: Findings,
) -> np.ndarray:
    """Judge the field ``segmentation`` of all annotations.

    Returns:
        The rows whose segmentation is there but is none.
    """
    values = column(rows, "segmentation")
    is_packed = np.array([type(value) is tuple for value in values], bool)
    packed = np.flatnonzero(is_packed)
    places = np.array([values[n] for n in packed], np.int64).reshape(-1, 2)
    problems = _Problems(table, values, found, is_error=masks is not False)
    empty = [n for n in np.flatnonzero(~is_packed).tolist() if not _is_there(values[n])]
    there = polygons.starts[places.sum(axis=1)] > polygons.starts[places[:, 0]]
    empty += packed[~there].tolist()
    problems.judge_polygons(packed[there], places[there], polygons)
    empty_rows = set(empty)
    for n in np.flatnonzero(~is_packed).tolist():
        if n not in empty_rows:
            problems.judge_other(n)
    unusable = problems.tell(polygons)
    if empty and masks is not False and (masks or len(empty) < len(rows) - len(unusable)):
        empty.sort()
        found.entries(
            "annotations",
            [problems.label(n) for n in empty],
            "segmentation",
            values[empty[0]] if type(values[empty[0]]) is not tuple else [],
            "without a mask, and masks are used" if masks else "without a mask, unlike others",
            "draw the masks, or train boxes only" if masks else "",
            is_error=bool(masks),
        )
    return np.array(sorted(unusable), np.int64)


def _is_there(value: Any) -> bool:
    return value is not MISSING and value is not None and value != []


class _Problems:
    """Collects rows by what is wrong with their masks."""

    def __init__(self, table: Table, values: list[Any], found: Findings, *, is_error: bool) -> None:
        self._table = table
        self._values = values
        self._found = found
        self._is_error = is_error
        self._rows: dict[tuple[str, str], list[int]] = {}
        self._remarks: dict[str, list[int]] = {}
        self._details: dict[int, str] = {}

    def label(self, row: int) -> int | str:
        """What the annotation is called in messages."""
        return int(self._table.ids[row]) if self._table.sound[row] else f"[{row}]"

    def judge_polygons(self, rows: np.ndarray, places: np.ndarray, polygons: Polygons) -> None:
        """Judge lists of polygons of an even number of values each."""
        if not len(rows):
            return
        total = places[:, 1]
        # The polygons of these rows, one after the other, and the row (in `rows`) of each.
        owner = np.repeat(np.arange(len(rows)), total)
        chosen = np.arange(total.sum()) + np.repeat(
            places[:, 0] - (np.cumsum(total) - total), total
        )
        starts, ends = polygons.starts[chosen], polygons.starts[chosen + 1]
        count = ends - starts
        whole = count >= 3
        size = self._table.image_sizes[self._table.image[rows[owner]]]
        low, high = _extremes(polygons)
        low, high = low[chosen], high[chosen]
        finite = np.isfinite(low).all(axis=1) & np.isfinite(high).all(axis=1)
        filled = count > 0
        not_finite = "with a number that is not finite"
        self._add(rows[owner[filled & ~finite]], not_finite, "draw the mask again")
        inside = self._table.sound[rows[owner]] & finite
        with np.errstate(invalid="ignore", over="ignore"):
            far = inside & filled & ((low < -size) | (high > 2 * size)).any(axis=1)
            extent = np.where(inside, (high - low).max(axis=1, initial=0), 0.0)
        self._add(
            rows[owner[far]],
            "with a coordinate far outside of the image",
            "polygons are pixels x1, y1, x2, y2, ... of the image",
        )
        wide = np.flatnonzero(inside & ~far & (extent > LONGEST_OUTLINE / np.maximum(count, 1)))
        long = [n for n in wide if _outline(polygons, starts[n], ends[n]) > LONGEST_OUTLINE]
        endless = f"an outline of more than {LONGEST_OUTLINE:,.0f} pixels"
        self._add(rows[owner[long]], endless, "draw the mask again")
        some = np.zeros(len(rows), bool)
        some[owner[whole]] = True
        self._add(
            rows[~some],
            "without a polygon of three points or more",
            "a polygon is one flat list x1, y1, x2, y2, x3, y3, ...",
        )
        good = some & self._table.sound[rows]
        good[owner[(filled & ~finite) | far]] = False
        good[owner[long]] = False
        kept = whole & good[owner]
        renumbered = np.cumsum(good) - 1
        outlines = Outlines(
            owner=renumbered[owner[kept]],
            numbers=chosen[kept],
            low=low[kept],
            high=high[kept],
            sizes=self._table.image_sizes[self._table.image[rows[good]]],
        )
        self._judge_outlines(rows[good], outlines, polygons)
        short = np.zeros(len(rows), bool)
        short[owner[~whole]] = True
        self._remark(
            rows[short & some],
            "with a polygon of fewer than three points beside others, which is left out",
        )

    def _judge_outlines(self, rows: np.ndarray, outlines: Outlines, polygons: Polygons) -> None:
        """Judge what polygons that pycocotools fills amount to."""
        if not self._is_error or not len(rows):
            return
        blank, nothing = outlines.without_pixel(polygons)
        self._add_blank(rows[nothing].tolist(), "outside of the image, or a line: without a pixel")
        self._remark(rows[blank & ~nothing], "too thin or small to have a pixel, so never found")
        bounds = outlines.bounds()[~blank]
        self._add_apart(rows[~blank], self._table.boxes[rows[~blank]], bounds)

    def _add_blank(self, rows: list[int], problem: str) -> None:
        """Note masks without a pixel: an error where the object trains, since it is learned and
        scored as nothing.
        """
        if not self._is_error or not rows:
            return
        trains = trained(self._table)[rows]
        self._add(
            np.array(rows)[trains],
            f"{problem}, while its box has an object",
            "draw the mask again, or take the annotation out",
        )
        self._remark(np.array(rows)[~trains], problem)

    def _add_apart(self, rows: np.ndarray, boxes: np.ndarray, bounds: np.ndarray) -> None:
        if self._is_error:
            told = "a mask that does not touch its own box; the two are learned as one object"
            self._remark(rows[apart(boxes, bounds)], told)

    def _remark(self, rows: np.ndarray, problem: str) -> None:
        if len(rows):
            self._remarks.setdefault(problem, []).extend(rows.tolist())

    def judge_other(self, row: int) -> None:
        """Judge a segmentation that is no list of polygons of an even number of values each."""
        value = self._values[row]
        if isinstance(value, dict):
            self._judge_rle(row, value)
            return
        problem = "not a list of polygons"
        if isinstance(value, list):
            kinds = {type(part) for part in value}
            if kinds <= {int, float}:
                problem = "a flat list of numbers"
            elif kinds == {list}:
                problem = _of_polygons(value)
        remedy = "write a list of polygons, [[x1, y1, x2, y2, x3, y3, ...], ...], or an RLE"
        self._add([row], problem, remedy)

    def _judge_rle(self, row: int, value: dict[str, Any]) -> None:
        if not self._table.sound[row]:
            return
        width, height = (int(side) for side in self._table.image_sizes[self._table.image[row]])
        size, counts = value.get("size", MISSING), value.get("counts", MISSING)
        remedy = "write the mask again, as {'size': [height, width], 'counts': TEXT or LIST}"
        if size is MISSING or counts is MISSING:
            missing = "size" if size is MISSING else "counts"
            self._add([row], f"an RLE without '{missing}'", remedy)
        elif (
            type(size) is not list
            or size != [height, width]
            or any(type(side) not in (int, float) for side in size)
        ):
            turned = "it is turned: width, height" if size == [width, height] else ""
            self._details[row] = f" ({turned or f'{height} x {width}'})"
            self._add([row], "whose mask has another size than the image", remedy)
        elif width * height > MOST:
            self._add([row], "a mask of more than 2**32 pixels, which COCO's cannot have", "")
        elif not isinstance(counts, str | list):
            self._add([row], "an RLE whose 'counts' are neither text nor a list", remedy)
        else:
            runs = rle_runs(counts) if isinstance(counts, str) else listed_runs(counts)
            if runs is None:
                hint = isinstance(counts, str) and counts.startswith(("b'", 'b"'))
                told = "are Python's bytes, written as text" if hint else "are not run lengths"
                self._add([row], f"an RLE whose 'counts' {told}", remedy)
            elif (pixels := int(runs.sum())) != width * height:
                self._details[row] = f" ({pixels:,} instead of {width * height:,})"
                self._add([row], "an RLE whose 'counts' do not add up to height x width", remedy)
            elif (bounds := runs_bounds(runs, height)) is None:
                self._add_blank([row], "an RLE without a pixel")
            else:
                boxes = self._table.boxes[[row]]
                self._add_apart(np.array([row]), boxes, np.array([bounds], np.float64))

    def _add(self, rows: Any, problem: str, remedy: str) -> None:
        if len(rows):
            found = self._rows.setdefault((problem, remedy), [])
            found += rows if isinstance(rows, list) else np.unique(rows).tolist()

    def tell(self, polygons: Polygons) -> set[int]:
        """Write the findings down; return their rows."""
        wrong: set[int] = set()
        for (problem, remedy), rows in self._rows.items():
            told = problem + self._details.get(rows[0], "")
            told = told if self._is_error else f"{told}; masks are not used here"
            self._found.entries(
                "annotations",
                [self.label(row) for row in rows],
                "segmentation",
                _raw(self._values[rows[0]], polygons),
                told,
                remedy if self._is_error else "",
                is_error=self._is_error,
            )
            wrong.update(rows)
        for problem, rows in self._remarks.items():
            left = [row for row in rows if row not in wrong]
            if left:
                self._found.entries(
                    "annotations",
                    [self.label(row) for row in left],
                    "segmentation",
                    _raw(self._values[left[0]], polygons),
                    problem,
                    is_error=False,
                )
        return wrong


def _raw(value: Any, polygons: Polygons) -> Any:
    """A segmentation as the file has it."""
    if type(value) is not tuple:
        return value
    first, count = value
    bounds = polygons.starts[first : first + count + 1].tolist()
    pairs = pairwise(bounds)
    return [polygons.points[start:end].reshape(-1).tolist() for start, end in pairs]


def _of_polygons(polygons: list[list[Any]]) -> str:
    """Say what is wrong with a list of lists."""
    for polygon in polygons:
        if any(type(value) is list for value in polygon):
            return "of points in lists of their own"
        if not {type(value) for value in polygon} <= {int, float}:
            return "with something that is not a number"
    if any(len(polygon) % 2 for polygon in polygons):
        return "with a polygon of an odd number of values"
    return "with a number that is not finite"


def _extremes(polygons: Polygons) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest x and y of each polygon, (polygons, 2); NaN passes through."""
    lengths = np.diff(polygons.starts)
    low = np.zeros((len(lengths), 2))
    high = np.zeros((len(lengths), 2))
    filled = lengths > 0
    if filled.any():
        starts = polygons.starts[:-1][filled]
        for axis in (0, 1):
            values = polygons.points[:, axis]
            low[filled, axis] = np.minimum.reduceat(values, starts)
            high[filled, axis] = np.maximum.reduceat(values, starts)
    return low, high


def _outline(polygons: Polygons, start: int, end: int) -> float:
    """How many pixels the outline of a polygon passes, as pycocotools counts them."""
    points = polygons.points[start:end]
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())
