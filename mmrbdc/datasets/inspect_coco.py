"""What a data set in COCO's format holds, and what is wrong with it, before anything trains on it.

:func:`mmrbdc.datasets.check_config_data` looks in a second whether a run can start. This reads
every annotation and opens every image, and reports all that it finds.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from PIL import Image

from mmrbdc.datasets.check import LOADERS, coco_classes, find_datasets, stated_classes
from mmrbdc.datasets.coco.limits import (
    COCO_MAX_DETS,
    Limit,
    ap_limit,
    config_limits,
    limit_remarks,
)
from mmrbdc.datasets.errors import DataError

TOLERANCE = 1.0
"""Pixels by which a box may reach over the border of its image: annotators round."""
_EXIF_ORIENTATION, _TURNED = 274, {5, 6, 7, 8}
_SECTIONS: dict[str, dict[str, Any]] = {
    "images": {"id": int, "file_name": str, "width": int | float, "height": int | float},
    "annotations": {"id": int, "image_id": int, "category_id": int, "bbox": list},
    "categories": {"id": int, "name": str},
}


@dataclass(frozen=True)
class CocoSplit:
    """Where a split is and what is expected of it.

    Attributes:
        name: ``train``, ``val``, ...
        ann_file: in COCO's format.
        images: folder of its images; None leaves the images alone.
        classes: that the config states; None takes the file's.
        masks: whether every box needs a mask.
        limits: beyond which objects of an image cannot be found.
    """

    name: str
    ann_file: Path
    images: Path | None = None
    classes: tuple[str, ...] | None = None
    masks: bool = False
    limits: tuple[Limit, ...] = field(default=(ap_limit(COCO_MAX_DETS),), compare=False)


@dataclass(frozen=True)
class SplitReport:
    """What a split holds.

    Attributes:
        split: which one.
        classes: of the config, or else of the file, in the file's order.
        images: how many.
        empty: images without a box of these classes.
        boxes: of these classes, crowds left out.
        crowds: regions marked ``iscrowd``, which are neither learned nor scored.
        class_images: images with a box of a class, by class.
        class_boxes: boxes of a class.
        errors: what has to be mended.
        remarks: what is worth knowing.
        sizes: of the image files that were found, bytes.
    """

    split: CocoSplit
    classes: tuple[str, ...]
    images: int
    empty: int
    boxes: int
    crowds: int
    class_images: Counter[str]
    class_boxes: Counter[str]
    errors: tuple[str, ...]
    remarks: tuple[str, ...]
    sizes: dict[Path, int] = field(repr=False)


def splits_of_config(cfg: Mapping) -> list[CocoSplit]:
    """Find the splits in the loaders of a detector's config; val and test are named together where
    they are equal.

    Raises:
        DataError: no loader, or one that reads no ``CocoDataset``.
    """
    found: dict[tuple[bool, CocoSplit], list[str]] = {}
    for name in LOADERS:
        loader = cfg.get(f"{name}_dataloader")
        if not loader:
            continue
        for key, dataset in find_datasets(f"{name}_dataloader.dataset", loader["dataset"]):
            kind = str(dataset.get("type")).rpartition(".")[-1]
            if kind != "CocoDataset":
                raise DataError(f"{key} is a {kind}; only data in COCO's format is looked at here")
            root = Path(dataset.get("data_root") or "")
            split = CocoSplit(
                name="",
                ann_file=root / dataset["ann_file"],
                images=root / (dataset.get("data_prefix") or {}).get("img", ""),
                classes=stated_classes(dataset) or coco_classes(),
                masks=any(step.get("with_mask") for step in dataset.get("pipeline") or ()),
            )
            found.setdefault((name == "train", split), []).append(name)
    if not found:
        raise DataError("the config has no train_dataloader, val_dataloader or test_dataloader")
    return [
        replace(split, name=", ".join(names), limits=config_limits(cfg, *names))
        for (_, split), names in found.items()
    ]


def inspect(splits: Sequence[CocoSplit]) -> tuple[list[SplitReport], list[str]]:
    """Read all splits.

    Returns:
        A report of each, and the errors between them: shared images, different classes.

    Raises:
        DataError: an annotation file is missing or not in COCO's format at all.
    """
    reports = [inspect_split(split) for split in splits]
    errors = []
    for one, other in combinations(reports, 2):
        names = f"{one.split.name} and {other.split.name}"
        if one.classes != other.classes:
            errors.append(
                f"{names} have different classes, or in another order: {_some(one.classes)} and "
                f"{_some(other.classes)}; MMDetection numbers them in the order of each file's "
                "categories"
            )
        shared = _shared_images(one.sizes, other.sizes)
        if shared:
            errors.append(f"{names} share {_count(len(shared), 'image')}: {_some(shared)}")
    return reports, errors


def inspect_split(split: CocoSplit) -> SplitReport:
    """Read one annotation file and, where a folder is named, open its images."""
    content = _read(split.ann_file)
    images, annotations, categories = (content[section] for section in _SECTIONS)
    errors = _check_repeated(images, annotations, categories)
    remarks: list[str] = []
    names = {row["id"]: row["name"] for row in categories}
    classes = _check_classes(split, names, errors)
    by_id = {row["id"]: row for row in images}
    known = _check_boxes(annotations, by_id, names, split.masks, errors, remarks)
    sizes = _check_files(split.images, images, errors) if split.images else {}

    single = [row for row in known if not row.get("iscrowd")]
    boxes = [(row["image_id"], names[row["category_id"]]) for row in single]
    kept = [(image, name) for image, name in boxes if name in classes]
    class_boxes = Counter(name for _, name in kept)
    left_out = Counter(name for _, name in boxes if name not in classes)
    empty = len(by_id.keys() - {image for image, _ in kept})
    none = [name for name in classes if not class_boxes[name]]
    if left_out:
        count = _count(left_out.total(), "box")
        remarks.append(f"{count} of categories that the config leaves out: {_some(left_out)}")
    if none:
        remarks.append(f"no box of {_count(len(none), 'class')}: {_some(none)}")
    if empty:
        remarks.append(f"{_count(empty, 'image')} without a box; training leaves such images out")
    scored = [row for row in single if names[row["category_id"]] in classes]
    remarks += limit_remarks(scored, len(images), split.limits)
    return SplitReport(
        split=split,
        classes=classes,
        images=len(images),
        empty=empty,
        boxes=len(kept),
        crowds=len(known) - len(single),
        class_images=Counter(name for _, name in set(kept)),
        class_boxes=class_boxes,
        errors=tuple(errors),
        remarks=tuple(remarks),
        sizes=sizes,
    )


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    if not path.is_file():
        raise DataError(f"there is no annotation file '{path}'; correct data_root or ann_file")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"'{path}' is no JSON: {error}") from error
    for section, fields in _SECTIONS.items():
        rows = content.get(section) if isinstance(content, dict) else None
        if not isinstance(rows, list):
            raise DataError(f"'{path}' has no list of {section}, as COCO's format wants it")
        for number, row in enumerate(rows):
            given = row if isinstance(row, dict) else {}
            wrong = [k for k, kind in fields.items() if not isinstance(given.get(k), kind)]
            if wrong:
                raise DataError(
                    f"'{path}': {section}[{number}] has no valid {' and '.join(wrong)}: {row}"
                )
    return content


def _check_repeated(
    images: Sequence[Mapping[str, Any]],
    annotations: Sequence[Mapping[str, Any]],
    categories: Sequence[Mapping[str, Any]],
) -> list[str]:
    found = {
        "image ids": _repeated(row["id"] for row in images),
        "annotation ids": _repeated(row["id"] for row in annotations),
        "category ids": _repeated(row["id"] for row in categories),
        "file names": _repeated(row["file_name"] for row in images),
        "category names": _repeated(row["name"] for row in categories),
    }
    return [f"{what} that occur more than once: {_some(v)}" for what, v in found.items() if v]


def _check_classes(
    split: CocoSplit, names: Mapping[int, str], errors: list[str]
) -> tuple[str, ...]:
    """Return the classes in the order in which MMDetection numbers them: the file's."""
    in_file = tuple(names.values())
    if split.classes is None:
        return in_file
    missing = [name for name in split.classes if name not in in_file]
    if missing:
        errors.append(
            f"the config's classes {_some(missing)} are no categories of '{split.ann_file}', "
            f"which has {_some(in_file)}"
        )
    repeated = _repeated(split.classes)
    if repeated:
        errors.append(f"the config names classes more than once: {_some(repeated)}")
    found = tuple(name for name in in_file if name in split.classes)
    if not missing and not repeated and found != split.classes:
        errors.append(
            f"the config's classes are in another order ({_some(split.classes)}) than the file's "
            f"categories ({_some(found)}), which MMDetection numbers them by: pictures would bear "
            "wrong names"
        )
    return found


def _check_boxes(
    annotations: Sequence[Mapping[str, Any]],
    images: Mapping[int, Mapping[str, Any]],
    names: Mapping[int, str],
    masks: bool,
    errors: list[str],
    remarks: list[str],
) -> list[Mapping[str, Any]]:
    """Return the annotations of known images and categories; describe what is wrong with others."""
    wrong: dict[str, list[int]] = defaultdict(list)
    known = []
    for row in annotations:
        if row["image_id"] not in images:
            wrong["of images that the file does not list"].append(row["id"])
            continue
        if row["category_id"] not in names:
            wrong["of categories that the file does not list"].append(row["id"])
            continue
        known.append(row)
        if len(row["bbox"]) != 4 or "area" not in row:
            wrong["without area or without four numbers as bbox (x, y, width, height)"].append(
                row["id"]
            )
            continue
        image = images[row["image_id"]]
        x, y, width, height = row["bbox"]
        low, right, bottom = -TOLERANCE, image["width"] + TOLERANCE, image["height"] + TOLERANCE
        if width <= 0 or height <= 0 or row["area"] <= 0:
            wrong["of zero area"].append(row["id"])
        elif x < low or y < low or x + width > right or y + height > bottom:
            wrong["outside of the image; bbox is x, y, width, height"].append(row["id"])
        elif width < 1 or height < 1:
            wrong["less than a pixel wide or high"].append(row["id"])
        mask = row.get("segmentation")
        if masks and not mask:
            wrong["without a mask, and the config trains masks"].append(row["id"])
        if isinstance(mask, dict) and mask["size"] != [image["height"], image["width"]]:
            wrong["whose mask has another size than the image"].append(row["id"])
    for what, ids in wrong.items():
        message = f"{_count(len(ids), 'annotation')} {what}: id {_some(ids)}"
        (remarks if what.startswith("less") else errors).append(message)
    return known


def _check_files(
    folder: Path, images: Sequence[Mapping[str, Any]], errors: list[str]
) -> dict[Path, int]:
    """Open every image; return the bytes of those that are there."""
    wrong: dict[str, list[str]] = defaultdict(list)
    sizes = {}
    for row in images:
        path = folder / row["file_name"]
        if not path.is_file():
            wrong[f"missing from '{folder}'"].append(row["file_name"])
            continue
        sizes[path] = path.stat().st_size
        try:
            with Image.open(path) as image:
                turned = image.getexif().get(_EXIF_ORIENTATION) in _TURNED
                size = image.size[::-1] if turned else image.size
        except OSError:
            wrong["that cannot be opened"].append(row["file_name"])
            continue
        if size != (row["width"], row["height"]):
            wrong["whose size is not the width and height in the file"].append(row["file_name"])
    for what, files in wrong.items():
        errors.append(f"{_count(len(files), 'image')} {what}: {_some(files)}")
    return sizes


def _shared_images(one: Mapping[Path, int], other: Mapping[Path, int]) -> list[str]:
    """Files of ``one`` whose content ``other`` has too, under whatever name."""
    candidates = set(one.values()) & set(other.values())
    there = {_digest(path) for path, size in other.items() if size in candidates}
    mine = [path for path, size in one.items() if size in candidates]
    return [path.name for path in mine if _digest(path) in there]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _repeated(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]


def _count(number: int, what: str) -> str:
    plural = what + ("es" if what.endswith(("x", "s")) else "s")
    return f"{number:,} {what if number == 1 else plural}"


def _some(values: Iterable[Any], most: int = 5) -> str:
    listed = [repr(value) if isinstance(value, str) else str(value) for value in values]
    shown = ", ".join(listed[:most]) or "none"
    return f"{shown}, ... {len(listed):,} in all" if len(listed) > most else shown
