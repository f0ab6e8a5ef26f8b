"""The rules that a file of COCO annotations has to meet, the same for every tool.

An *error* makes training or scoring crash, hang, or give another result than the file says; whoever
meets one stops. A *remark* is worth knowing. What is harmless everywhere alike is neither, and is
made uniform by ``index``: a missing ``iscrowd`` is 0, true and false are 1 and 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmrbdc.datasets.coco.columns import boxes, column, integers, numbers, positions, repeated
from mmrbdc.datasets.coco.findings import MISSING, Finding, Findings, shown
from mmrbdc.datasets.coco.masks import judge_masks
from mmrbdc.datasets.coco.reading import COCO_CONTENT, CocoFile

TOLERANCE = 1.0
"""Pixels by which a box may reach over the border of its image: annotators round."""
OVERHANG = 0.02
"""Share of the image's side by which it may do so with a remark."""
LARGEST_SIDE = 2**20
"""Pixels of an image's side above which a file is not believed."""
RENUMBER = "`python tools/misc/check_coco_dataset.py FILE --renumber NEW_FILE` does it"


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
    _boxes(table, annotations, found)
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


def _ids(section: str, rows: list[dict], found: Findings) -> np.ndarray:
    """Judge ``id``: integers, none twice."""
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
    return ids


def _fields(
    section: str,
    rows: list[dict],
    labels: list,
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
        found.entries(
            section, [labels[n] for n in bad], field, value, f"should be {wanted}", remedy
        )


def _images(rows: list[dict], found: Findings) -> tuple[np.ndarray, np.ndarray]:
    ids = _ids("images", rows, found)
    labels = _labels(rows)
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
    ids = _ids("categories", rows, found)
    labels = _labels(rows)
    if _texts("categories", rows, labels, "name", found):
        names = [row["name"] for row in rows]
        spaced = [n for n, name in enumerate(names) if name != name.strip()]
        if spaced:
            found.entries(
                "categories",
                [labels[n] for n in spaced],
                "name",
                names[spaced[0]],
                "with spaces around it, which belong to the class's name",
                is_error=False,
            )
    return ids


def _texts(section: str, rows: list[dict], labels: list, field: str, found: Findings) -> bool:
    """Judge a field that names things: text, not empty, not twice. Returns whether it is right."""
    before = len(found.errors)
    values = column(rows, field)
    good = np.array([isinstance(v, str) and _is_text(v) for v in values], bool)
    wanted = "a text that is not empty and can be printed"
    _fields(section, rows, labels, field, good, wanted, found)
    seen: dict[str, int] = {}
    twice = []
    for n, value in enumerate(values):
        if good[n] and seen.setdefault(value, n) != n:
            twice.append(n)
    if twice:
        remedy = (
            "join the two under one id"
            if section == "categories"
            else "put its annotations under one image"
        )
        one = SINGULAR_OF[section]
        found.entries(
            section,
            [labels[n] for n in twice],
            field,
            values[twice[0]],
            f"the {field.replace('_', ' ')} of {one} {labels[seen[values[twice[0]]]]} already",
            remedy,
        )
    if field == "file_name":
        _paths([v if good[n] else "" for n, v in enumerate(values)], labels, found)
    return len(found.errors) == before


def _paths(names: list[str], labels: list, found: Findings) -> None:
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
                [labels[n] for n in which],
                "file_name",
                names[which[0]],
                problem,
                remedy,
                is_error=bool(remedy),
            )


SINGULAR_OF = {"images": "image", "categories": "category"}


def _is_text(value: str) -> bool:
    """Whether something is left of a text without spaces, and nothing in it cannot be printed."""
    return bool(value.strip()) and (
        value.isprintable()
        or not any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 or ord(c) == 127 for c in value)
    )


def _labels(rows: list[dict]) -> list[int | str]:
    """What entries are called in messages: their id, else their position."""
    ids, good = integers(column(rows, "id"))
    if good.all():
        return ids.tolist()
    return [
        id_ if ok else f"[{n}]" for n, (id_, ok) in enumerate(zip(ids.tolist(), good, strict=True))
    ]


def _annotations(
    rows: list[dict], image_ids: np.ndarray, category_ids: np.ndarray, found: Findings
) -> dict[str, np.ndarray]:
    """Judge field by field; the columns of ``Table``."""
    ids = _ids("annotations", rows, found)
    sound = integers(column(rows, "id"))[1]
    labels = _labels(rows)
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
                [labels[n] for n in lost],
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


def _boxes(table: Table, rows: list[dict], found: Findings) -> None:
    """Judge where boxes lie, and what of them MMDetection does not train on."""
    x, y, width, height = table.boxes.T
    size = table.image_sizes[table.image] if len(table.image) else np.zeros((0, 2))
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


def _note(
    table: Table,
    rows: list[dict],
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
