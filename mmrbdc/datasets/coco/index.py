"""pycocotools' index of a file that was judged first."""

import contextlib
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

from pycocotools.coco import COCO

from mmrbdc.datasets.coco.findings import Finding
from mmrbdc.datasets.coco.judge import Verdict
from mmrbdc.datasets.coco.memory import judged
from mmrbdc.datasets.errors import DataError
from mmrbdc.shipped import command
from mmrbdc.wording import quoted

Index = TypeVar("Index", bound=COCO)


def index(
    path: str | Path,
    classes: Collection[str] | None = None,
    *,
    masks: bool | None = None,
    objects: bool = True,
) -> COCO:
    """Read and judge a file of annotations and index it, without a word.

    Args:
        path: of the file.
        classes: names of the categories to keep, as MMDetection's data sets keep them: all images
            stay, and names that are no category are passed over. All by default.
        masks: as for ``judge``; where it is False, segmentations that are none are left out.
        objects: as for ``judge``.

    Raises:
        DataError: the file cannot be read, or something has to be mended in it.
    """
    verdict = judged(path, masks, objects=objects)
    refuse(verdict)
    return fill(COCO(), verdict, classes)


def refuse(verdict: Verdict) -> None:
    """Raise the first error of a verdict, and say how many more there are."""
    message = refusal(verdict.errors)
    if message is not None:
        raise DataError(message)


def refusal(errors: Collection[Finding]) -> str | None:
    """The first of some errors in one line, and how many more there are; None for none."""
    if not errors:
        return None
    first, *others = errors
    more = f" ({len(others)} more: `{command('check-data')}` lists all)"
    return str(first) + (more if others else "")


def fill(coco: Index, verdict: Verdict, classes: Collection[str] | None = None) -> Index:
    """Put the content of a file without errors, made uniform, into an index of pycocotools' kind.

    Raises:
        DataError: none of the classes is a category of the file.
    """
    content = verdict.file.content
    categories = content["categories"]
    annotations = uniform(verdict)
    if classes is not None:
        categories = [row for row in categories if row["name"] in classes]
        if not categories:
            raise DataError(f"{verdict.file.path} has none of the categories {quoted(classes)}")
        kept = {row["id"] for row in categories}
        annotations = [row for row in annotations if row["category_id"] in kept]
    images = [
        {**image, "width": int(image["width"]), "height": int(image["height"])}
        for image in content["images"]
    ]
    coco.dataset = {
        **content,
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    with quietly():
        coco.createIndex()
    return coco


def index_detections(coco: COCO, detections: list[dict[str, Any]]) -> COCO:
    """``coco.loadRes``, which also takes no detections at all: none is found then, and AP is 0.

    Args:
        coco: of the annotations.
        detections: in COCO's result format; changed in place.
    """
    if detections:
        return coco.loadRes(detections)
    none = type(coco)()
    none.dataset = {**coco.dataset, "annotations": []}
    none.createIndex()
    return none


def uniform(verdict: Verdict) -> list[dict[str, Any]]:
    """The annotations of a file without errors, made uniform; copies, since pycocotools writes
    into them.

    ``iscrowd`` is 0 or 1 everywhere, sizes are integers, polygons are arrays of three points or
    more, and segmentations that are none are not there.
    """
    polygons = verdict.file.polygons
    unusable = set(verdict.unusable.tolist())
    annotations = []
    for row, annotation in enumerate(verdict.file.content.get("annotations", [])):
        annotation = annotation.copy()
        annotation["iscrowd"] = int(annotation.get("iscrowd", 0))
        mask = annotation.get("segmentation")
        if row in unusable:
            del annotation["segmentation"]
        elif type(mask) is tuple:
            annotation["segmentation"] = polygons.unpack(mask)
        elif type(mask) is dict:
            size = [int(side) for side in mask["size"]]
            annotation["segmentation"] = {**mask, "size": size}
        annotations.append(annotation)
    return annotations


def quietly() -> contextlib.AbstractContextManager[object]:
    """Return a context in which nothing is printed; pycocotools tells each of its steps."""
    return contextlib.redirect_stdout(io.StringIO())
