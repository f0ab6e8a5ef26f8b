"""COCO annotations, checked before anything is compared with them."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from ..errors import AnalysisError
from .reading import is_box, is_number, listed, quietly, read_json, shown

_CONTENT = "COCO annotations ('images', 'annotations' and 'categories')"


@dataclass(frozen=True, eq=False)
class Annotations:
    """The objects of a data set.

    Attributes:
        path: of the file.
        sha256: of its bytes; two files are the same data set where it is equal.
        coco: pycocotools' index of it.
    """

    path: Path
    sha256: str
    coco: COCO

    @property
    def image_ids(self) -> list[int]:
        """The ids of all images, sorted, which is the order COCOeval takes them in."""
        return sorted(self.coco.imgs)

    @property
    def category_names(self) -> dict[int, str]:
        """Id -> name, sorted by id."""
        return {id_: self.coco.cats[id_]["name"] for id_ in sorted(self.coco.cats)}


def read_annotations(path: str | Path, classes: Collection[str] | None = None) -> Annotations:
    """Read the annotations of a detection data set, as in ``instances_val2017.json``.

    Args:
        path: of the file.
        classes: names of the categories to keep, as MMDetection's data sets keep them: all images
            stay, and names that are no category are passed over. All by default.

    Raises:
        AnalysisError: the file is no such thing; an id is there twice; an object is on an image
            or of a category that the file does not have; an object lacks what COCO's evaluation
            needs; an object has the id 0, which pycocotools takes for "not found".
    """
    path = Path(path)
    content, sha256 = read_json(path, _CONTENT)
    if not isinstance(content, dict):
        raise AnalysisError(f"{path} should hold {_CONTENT}, got {shown(content)}")
    images = _entries(path, content, "images")
    categories = _entries(path, content, "categories")
    objects = _entries(path, content, "annotations")
    if not images or not categories:
        raise AnalysisError(f"{path}: there are no {'categories' if images else 'images'}")
    for image in images:
        for field in ("width", "height"):
            if not is_number(image.get(field)):
                raise _odd(path, "image", image, field, "a number")
        if not isinstance(image.get("file_name"), str):
            raise _odd(path, "image", image, "file_name", "a string")
    for category in categories:
        if not isinstance(category.get("name"), str):
            raise _odd(path, "category", category, "name", "a string")
    for annotation in objects:
        _check_object(path, annotation)
    _check_known(path, objects, "image_id", images, "images")
    _check_known(path, objects, "category_id", categories, "categories")
    if classes is not None:
        categories = [c for c in categories if c["name"] in classes]
        if not categories:
            raise AnalysisError(f"{path} has none of the categories {listed(classes)}")
        kept = {category["id"] for category in categories}
        objects = [entry for entry in objects if entry["category_id"] in kept]
    coco = COCO()
    coco.dataset = {**content, "categories": categories, "annotations": objects}
    with quietly():
        coco.createIndex()
    return Annotations(path, sha256, coco)


def _entries(path: Path, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return a list of objects with different integer ids."""
    entries = content.get(key)
    if not isinstance(entries, list):
        raise AnalysisError(
            f"{path}: '{key}' should be a list, got {shown(entries)}; the file should hold "
            f"{_CONTENT}"
        )
    for number, entry in enumerate(entries):
        id_ = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(id_, int):
            raise AnalysisError(
                f"{path}: '{key}[{number}]' should have an integer 'id', got {shown(entry)}"
            )
    twice = [id_ for id_, n in Counter(entry["id"] for entry in entries).items() if n > 1]
    if twice:
        raise AnalysisError(
            f"{path}: {len(twice)} id(s) of '{key}' are there more than once: {listed(twice)}; "
            "give each its own id"
        )
    return entries


def _check_object(path: Path, annotation: dict[str, Any]) -> None:
    if annotation["id"] == 0:
        raise AnalysisError(
            f"{path}: an annotation has the id 0, which pycocotools takes for 'not found', so that "
            "whatever finds it is scored as wrong; number the annotations from 1"
        )
    for field in ("image_id", "category_id"):
        if not isinstance(annotation.get(field), int):
            raise _odd(path, "annotation", annotation, field, "an integer")
    if not is_box(annotation.get("bbox")):
        raise _odd(path, "annotation", annotation, "bbox", "[x, y, width, height]")
    if not is_number(annotation.get("area")):
        raise _odd(path, "annotation", annotation, "area", "a number of pixels")
    if annotation.get("iscrowd") not in (0, 1):
        raise _odd(path, "annotation", annotation, "iscrowd", "0 or 1")


def _check_known(
    path: Path,
    objects: Collection[dict[str, Any]],
    field: str,
    known: Collection[dict[str, Any]],
    kind: str,
) -> None:
    ids = {entry["id"] for entry in known}
    unknown = {annotation[field] for annotation in objects} - ids
    if unknown:
        raise AnalysisError(
            f"{path}: '{field}' of some annotations is not among '{kind}': {listed(unknown)}"
        )


def _odd(path: Path, kind: str, entry: dict[str, Any], field: str, wanted: str) -> AnalysisError:
    return AnalysisError(
        f"{path}: '{field}' of {kind} {entry['id']} should be {wanted}, got "
        f"{shown(entry.get(field))}"
    )
