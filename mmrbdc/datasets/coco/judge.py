"""The rules that a file of COCO annotations has to meet, the same for every tool.

An *error* makes training or scoring crash, hang, or give another result than the file says; whoever
meets one stops. A *remark* is worth knowing. What is harmless everywhere alike is neither, and is
made uniform by ``index``: a missing ``iscrowd`` is 0, true and false are 1 and 0.
"""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmrbdc.datasets.coco.boxes import judge_boxes
from mmrbdc.datasets.coco.columns import boxes, column, integers, numbers, positions, repeated
from mmrbdc.datasets.coco.findings import MISSING, SINGULAR, Finding, Findings
from mmrbdc.datasets.coco.masks import judge_masks
from mmrbdc.datasets.coco.reading import COCO_CONTENT, CocoFile
from mmrbdc.datasets.coco.table import Table
from mmrbdc.shipped import command
from mmrbdc.wording import shown

LARGEST_SIDE = 2**20
"""Pixels of an image's side above which a file is not believed."""
RENUMBER = f"`{command('check-data', 'FILE', '--renumber', 'NEW_FILE')}` does it"


@dataclass(frozen=True, eq=False)
class Verdict:
    """What was found in a file.

    Attributes:
        file: as it was read.
        errors: whoever wants to use the file stops at the first.
        remarks: worth knowing.
        table: None where the errors leave nothing to count.
        unusable: annotations (rows) whose segmentation is none; not errors where masks are not
            asked for.
    """

    file: CocoFile
    errors: tuple[Finding, ...]
    remarks: tuple[Finding, ...]
    table: Table | None
    unusable: np.ndarray


def judge(file: CocoFile, masks: bool | None = None, *, objects: bool = True) -> Verdict:
    """Judge a file.

    Args:
        file: as read.
        masks: True, every object needs a mask; False, masks are not used and what is wrong with
            them is a remark; None, those that are there have to be right.
        objects: whether there have to be annotations, which the images of a test may lack.
    """
    found = Findings(file.path)
    none = np.zeros(0, np.int64)
    sections = _sections(file.content, objects, found)
    if sections is None:
        return Verdict(file, tuple(found.errors), (), None, none)
    images, annotations, categories = sections
    image_ids, sizes = _images(images, found)
    category_ids = _categories(categories, found)
    if found.errors:
        return Verdict(file, tuple(found.errors), tuple(found.remarks), None, none)
    table = Table(
        image_ids=image_ids,
        image_sizes=sizes,
        file_names=column(images, "file_name"),
        category_ids=category_ids,
        names=column(categories, "name"),
        **_annotations(annotations, image_ids, category_ids, found),
    )
    judge_boxes(table, annotations, found)
    unusable = judge_masks(table, annotations, file.polygons, masks, found)
    return Verdict(file, tuple(found.errors), tuple(found.remarks), table, unusable)


def _sections(
    content: Any, objects: bool, found: Findings
) -> tuple[list[dict], list[dict], list[dict]] | None:
    remedy = f"the file should hold {COCO_CONTENT}"
    if not isinstance(content, dict):
        found.error(f"it is {shown(content)}, not an object", remedy)
        return None
    rows = {}
    for section in ("images", "annotations", "categories"):
        value = content.get(section, MISSING)
        if section == "annotations" and not objects and value is MISSING:
            value = []
        rows[section] = value
        if not isinstance(value, list):
            found.error(f"'{section}' should be a list, got {shown(value)}", remedy)
        elif not value and (section != "annotations" or objects):
            found.error(f"there are no {section}: '{section}' is an empty list", remedy)
        elif not set(map(type, value)) <= {dict}:
            odd = [n for n, row in enumerate(value) if type(row) is not dict]
            ids = [f"[{n}]" for n in odd]
            found.entries(section, ids, "", value[odd[0]], "not an object", remedy)
    return None if found.errors else (rows["images"], rows["annotations"], rows["categories"])


class _Labels:
    """What entries are called in messages: their id, else their position."""

    def __init__(self, ids: np.ndarray, good: np.ndarray) -> None:
        self._ids, self._good = ids, good

    def of(self, rows: Iterable[int]) -> list[int | str]:
        """The labels of some rows."""
        return [int(self._ids[n]) if self._good[n] else f"[{n}]" for n in rows]


def _ids(section: str, rows: list[dict], found: Findings) -> tuple[np.ndarray, np.ndarray, _Labels]:
    """Judge ``id``: integers, none twice. Returns them, and which are integers."""
    values = column(rows, "id")
    ids, good = integers(values)
    bad = np.flatnonzero(~good)
    if len(bad):
        labels = [f"[{n}]" for n in bad]
        problem = "should be an integer of 64 bits"
        found.entries(section, labels, "id", values[bad[0]], problem, "number them from 1")
    again = ids[good][repeated(ids[good])]
    if len(again):
        twice = np.unique(again).tolist()
        remedy = "give each its own id" + (f"; {RENUMBER}" if section == "annotations" else "")
        found.entries(section, twice, "id", twice[0], "which stands there more than once", remedy)
    return ids, good, _Labels(ids, good)


def _fields(
    section: str,
    rows: list[dict],
    labels: _Labels,
    field: str,
    good: np.ndarray,
    wanted: str,
    found: Findings,
) -> None:
    """Note the entries whose field is not what is wanted."""
    bad = np.flatnonzero(~good)
    if len(bad):
        value = rows[bad[0]].get(field, MISSING)
        remedy = "correct it, or take the entry out"
        found.entries(section, labels.of(bad), field, value, f"should be {wanted}", remedy)


def _images(rows: list[dict], found: Findings) -> tuple[np.ndarray, np.ndarray]:
    ids, _, labels = _ids("images", rows, found)
    _texts("images", rows, labels, "file_name", found)
    sizes = np.ones((len(rows), 2))
    for side, field in enumerate(("width", "height")):
        sizes[:, side], good = numbers(column(rows, field))
        good &= (sizes[:, side] >= 1) & (sizes[:, side] <= LARGEST_SIDE)
        good &= sizes[:, side] == np.floor(sizes[:, side])
        wanted = f"a whole number of pixels from 1 to {LARGEST_SIDE:,}"
        _fields("images", rows, labels, field, good, wanted, found)
    return ids, sizes


def _categories(rows: list[dict], found: Findings) -> np.ndarray:
    ids, _, labels = _ids("categories", rows, found)
    if _texts("categories", rows, labels, "name", found):
        names = [row["name"] for row in rows]
        spaced = [n for n, name in enumerate(names) if name != name.strip()]
        if spaced:
            found.entries(
                "categories",
                labels.of(spaced),
                "name",
                names[spaced[0]],
                "with spaces around it, which belong to the class's name",
                is_error=False,
            )
    return ids


def _texts(section: str, rows: list[dict], labels: _Labels, field: str, found: Findings) -> bool:
    """Judge a field that names things: text, not empty, not twice. Returns whether it is right."""
    before = len(found.errors)
    values = column(rows, field)
    good = np.array([isinstance(v, str) and _is_text(v) for v in values], bool)
    wanted = "a text that is not empty and can be printed"
    _fields(section, rows, labels, field, good, wanted, found)
    seen: dict[str, int] = {}
    twice = []
    is_path = field == "file_name"
    for n, value in enumerate(values):
        if good[n] and seen.setdefault(_one_spelling(value) if is_path else value, n) != n:
            twice.append(n)
    if twice:
        remedy = (
            "join the two under one id"
            if section == "categories"
            else "put its annotations under one image"
        )
        again = values[twice[0]]
        one, (first,) = (
            SINGULAR[section],
            labels.of([seen[_one_spelling(again) if is_path else again]]),
        )
        found.entries(
            section,
            labels.of(twice),
            field,
            again,
            f"the {field.replace('_', ' ')} of {one} {first} already",
            remedy,
        )
    if is_path:
        _paths([v if good[n] else "" for n, v in enumerate(values)], labels, found)
    return len(found.errors) == before


def _one_spelling(path: str) -> str:
    """A path without what changes nothing: ``./a`` and ``b/../a`` are ``a``."""
    return posixpath.normpath(path) if "./" in path or "//" in path else path


def _paths(names: list[str], labels: _Labels, found: Findings) -> None:
    """Judge names of image files as paths below the folder of the images."""
    for which, problem, remedy in (
        (
            [n for n, name in enumerate(names) if "\\" in name],
            "with backslashes, which part folders on Windows only",
            "write '/'",
        ),
        (
            [n for n, name in enumerate(names) if name.startswith("/")],
            "an absolute path, to which the folder of the images does not matter",
            "",
        ),
        (
            [n for n, name in enumerate(names) if ".." in name.split("/")],
            "which leads out of the folder of the images",
            "",
        ),
    ):
        if which:
            found.entries(
                "images",
                labels.of(which),
                "file_name",
                names[which[0]],
                problem,
                remedy,
                is_error=bool(remedy),
            )


def _is_text(value: str) -> bool:
    """Whether something is left of a text without spaces, and nothing in it cannot be printed."""
    return bool(value.strip()) and (
        value.isprintable()
        or not any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 or ord(c) == 127 for c in value)
    )


def _annotations(
    rows: list[dict], image_ids: np.ndarray, category_ids: np.ndarray, found: Findings
) -> dict[str, np.ndarray]:
    """Judge field by field; the columns of ``Table``."""
    ids, good, labels = _ids("annotations", rows, found)
    sound = good.copy()
    zero = np.flatnonzero(sound & (ids == 0))
    if len(zero):
        found.entries(
            "annotations",
            [0],
            "id",
            0,
            "which pycocotools takes for 'not found', so that whatever finds the object is scored "
            "as wrong",
            f"number the annotations from 1; {RENUMBER}",
        )
    columns = {"ids": ids}
    for field, known in (("image_id", image_ids), ("category_id", category_ids)):
        values, good = integers(column(rows, field))
        _fields("annotations", rows, labels, field, good, "an integer", found)
        place = positions(values, known)
        lost = np.flatnonzero(good & (place < 0))
        section = "images" if field == "image_id" else "categories"
        if len(lost):
            found.entries(
                "annotations",
                labels.of(lost),
                field,
                rows[lost[0]][field],
                f"which is not among '{section}'",
                f"list it there, or take {'it' if len(lost) == 1 else 'them'} out",
            )
        columns[field[: -len("_id")]] = np.maximum(place, 0)
        sound &= good & (place >= 0)
    columns["boxes"], good = boxes(column(rows, "bbox"))
    good &= (np.nan_to_num(columns["boxes"][:, 2:], nan=-1.0) >= 0).all(axis=1)
    wanted = "[x, y, width, height] in finite numbers with no negative width or height"
    _fields("annotations", rows, labels, "bbox", good, wanted, found)
    sound &= good
    columns["areas"], good = numbers(column(rows, "area"))
    good &= np.nan_to_num(columns["areas"], nan=-1.0) >= 0
    _fields("annotations", rows, labels, "area", good, "a finite number of pixels", found)
    sound &= good
    crowd = column(rows, "iscrowd")
    good = np.ones(len(rows), bool)
    if not set(map(type, crowd)) <= {int, bool, float, type(MISSING)} or not set(crowd) <= {
        0,
        1,
        MISSING,
    }:
        allowed = (int, bool, float, type(MISSING))
        good = np.array([type(v) in allowed and v in (0, 1, MISSING) for v in crowd], bool)
        _fields("annotations", rows, labels, "iscrowd", good, "0 or 1", found)
    columns["crowd"] = np.array([v == 1 for v in crowd], bool)
    columns["ignored"] = np.array(
        [bool(v) and v is not MISSING for v in column(rows, "ignore")], bool
    )
    columns["rle"] = np.array([type(v) is dict for v in column(rows, "segmentation")], bool)
    return columns | {"sound": sound & good}
