"""Boxes that are not x, y, width and height in pixels, told by the objects that they would find."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO

from mmrbdc.analysis.coco.box_format import CENTRES, CORNERS, WANTED, from_centres, from_corners

_IMAGES = 500
"""Of larger sets so many are looked at, spread over the ids."""
_OVERLAPS = (0.5, 0.75)
"""IoU from which on an object counts as found. Large objects that fill their images are found by
half by any box; seldom by three quarters."""
_LEAST, _SHARE, _TIMES = 8, 0.3, 5
"""Another reading must find so many objects, so large a share of them, and so many times as many as
the boxes do as they are. A detector that is bad is bad in all readings; one that is good finds its
objects as it is."""
_SPREAD = 0.25
"""Of the found objects' typical side: how far their places must vary. Where all objects lie in one
place, a box that is beside it may be right in another reading by chance."""

Reading = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _resized(long: float, short: float) -> Reading:
    """Boxes of images that were resized as MMDetection keeps their ratio."""

    def read(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
        return boxes / min(long / size.max(), short / size.min())

    return read


_BACK = "scale them back to the original images"
_READINGS: tuple[tuple[str, str, Reading], ...] = (
    (*CENTRES, lambda boxes, size: from_centres(boxes)),
    (*CORNERS, lambda boxes, size: from_corners(boxes)),
    ("y, x, height, width", "swap the numbers", lambda boxes, size: boxes[:, [1, 0, 3, 2]]),
    ("boxes of images of half the size", _BACK, lambda boxes, size: boxes * 2),
    ("boxes of images of twice the size", _BACK, lambda boxes, size: boxes / 2),
    *(
        (f"boxes of images resized to {long} x {short}", _BACK, _resized(long, short))
        for long, short in ((1333, 800), (1024, 1024), (640, 640), (512, 512))
    ),
)
"""What the boxes look like, what to do, and the boxes of COCO's format that they would be."""


def reading_problem(coco: COCO, detections: Sequence[dict[str, Any]]) -> str | None:
    """Say in which other reading a detector's boxes find far more objects; None where none does.

    Args:
        coco: the annotations.
        detections: with ``image_id``, ``category_id``, ``bbox`` and ``score``.

    Returns:
        What they look like and what to do.
    """
    images = _best(coco, detections)
    total = sum(len(objects) for objects, *_ in images)
    if total < _LEAST:
        return None
    for overlap in _OVERLAPS:
        plain = len(_found(images, lambda boxes, size: boxes, overlap))
        enough = max(_LEAST, _SHARE * total, _TIMES * plain)
        if enough > total:
            continue
        for name, how, reading in _READINGS:
            found = _found(images, reading, overlap)
            if len(found) >= enough and _spread(found):
                return (
                    f"the best boxes find {plain:,} of {total:,} objects (IoU {overlap}), and "
                    f"would find {len(found):,} if they were {name}, which they look like. "
                    f"{WANTED}: {how}"
                )
    return None


_Image = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _best(coco: COCO, detections: Sequence[dict[str, Any]]) -> list[_Image]:
    """Of each image its objects (N, 4), their categories (N,), as many detections with the highest
    scores (M, 4), theirs (M,), and its size (2,).
    """
    found = defaultdict(list)
    for detection in detections:
        found[detection["image_id"]].append(detection)
    ids = [id_ for id_ in sorted(found) if coco.imgToAnns.get(id_)]
    images = []
    for id_ in ids[:: max(1, len(ids) // _IMAGES)]:
        objects = [row for row in coco.imgToAnns[id_] if not row.get("iscrowd")]
        best = sorted(found[id_], key=lambda row: -row["score"])[: len(objects)]
        size = np.array([coco.imgs[id_]["width"], coco.imgs[id_]["height"]], dtype=float)
        images.append((*_boxes(objects), *_boxes(best), size))
    return images


def _boxes(rows: Sequence[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    boxes = np.array([row["bbox"] for row in rows], dtype=float).reshape(-1, 4)
    return boxes, np.array([row["category_id"] for row in rows], dtype=np.int64)


def _found(images: Sequence[_Image], reading: Reading, overlap: float) -> np.ndarray:
    """The objects that a detection of their category covers, (F, 4)."""
    kept = [np.zeros((0, 4))]
    for objects, categories, boxes, theirs, size in images:
        read = reading(boxes, size)
        good = (read[:, 2:] > 0).all(axis=1)
        same = categories[:, None] == theirs[good]
        covered = (_iou(objects, read[good]) >= overlap) & same
        kept.append(objects[covered.any(axis=1)])
    return np.concatenate(kept)


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of boxes (N, 4) with boxes (M, 4), (N, M)."""
    low = np.maximum(a[:, None, :2], b[:, :2])
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], b[:, :2] + b[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    union = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1) - common
    return common / np.maximum(union, np.finfo(float).tiny)


def _spread(objects: np.ndarray) -> bool:
    centres = objects[:, :2] + objects[:, 2:] / 2
    side = np.median(np.sqrt(objects[:, 2:].prod(axis=1)))
    return bool(centres.std(axis=0).max() >= _SPREAD * side)
