"""The predictions of a detector, in COCO's result format, checked against their annotations."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from pycocotools.coco import COCO

from mmrbdc.analysis.coco.annotations import Annotations
from mmrbdc.analysis.coco.box_format import box_problem
from mmrbdc.analysis.coco.box_readings import reading_problem
from mmrbdc.analysis.coco.reading import is_box, is_number, read_json, shown
from mmrbdc.datasets.coco import quietly, rle_pixels
from mmrbdc.datasets.coco.findings import MISSING
from mmrbdc.datasets.coco.index import index_detections
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.wording import quoted

IoUType = Literal["bbox", "segm"]

_CONTENT = "predictions in COCO's result format, a list with an object for each detection"


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a detector found.

    Attributes:
        path: of the file.
        iou_type: what is compared with the annotations, boxes or masks.
        annotations: of the data set it was tested on.
        coco: pycocotools' index of the detections.
    """

    path: Path
    iou_type: IoUType
    annotations: Annotations
    coco: COCO


def read_predictions(
    path: str | Path,
    annotations: Annotations,
    iou_type: IoUType = "bbox",
    *,
    may_be_empty: bool = False,
) -> Predictions:
    """Read a COCO result file, as ``CocoMetric`` of MMDetection writes it.

    A mask's area is the number of its pixels even where the file also has its box, as in
    MMDetection; this matters for AP of small, medium and large objects.

    Args:
        path: of the file.
        annotations: of the images that were tested.
        iou_type: whether its boxes or its masks are read.
        may_be_empty: whether it may have no detection, as where a test is known to have ended.

    Raises:
        AnalysisError: the file is no such thing or has no detection; some are on images or of
            categories that the annotations do not have; one lacks a finite score, a box or a
            mask, or its mask is of another size than its image or no whole RLE; the boxes look like
            those of another format.
    """
    path = Path(path)
    if iou_type not in get_args(IoUType):
        raise AnalysisError(f"iou_type should be 'bbox' or 'segm', got {iou_type!r}")
    content, _ = read_json(path, _CONTENT)
    if not isinstance(content, list):
        raise AnalysisError(f"{path} should hold {_CONTENT}, got {shown(content)}")
    if not content and not may_be_empty:
        raise AnalysisError(
            f"{path} has no predictions at all; a detector that finds nothing on {annotations.path}"
            " is not trained, or the test stopped early: test it again"
        )
    for number, detection in enumerate(content):
        if not isinstance(detection, dict):
            raise AnalysisError(f"{path}, [{number}]: expected an object, got {shown(detection)}")
    _check_known(path, annotations, content, "image_id", annotations.coco.imgs)
    _check_known(path, annotations, content, "category_id", annotations.coco.cats)
    for number, detection in enumerate(content):
        problem = _problem(detection, annotations, iou_type)
        if problem:
            raise AnalysisError(f"{path}, [{number}]: {problem}")
        if iou_type == "segm":
            detection.pop("bbox", None)
    if iou_type == "bbox" and content:
        _check_format(path, annotations, content)
    with quietly():
        coco = index_detections(annotations.coco, content)
    return Predictions(path, iou_type, annotations, coco)


def _check_format(
    path: Path, annotations: Annotations, detections: Sequence[dict[str, Any]]
) -> None:
    boxes = np.array([detection["bbox"] for detection in detections], dtype=float)
    images = (annotations.coco.imgs[detection["image_id"]] for detection in detections)
    sizes = np.array([[image["width"], image["height"]] for image in images], dtype=float)
    problem = box_problem(boxes, sizes) or reading_problem(annotations.coco, detections)
    if problem:
        raise AnalysisError(f"{path}: {problem}")


def _check_known(
    path: Path,
    annotations: Annotations,
    detections: Collection[dict[str, Any]],
    field: str,
    known: Collection[int],
) -> None:
    odd = next((d for d in detections if not isinstance(d.get(field), int)), None)
    if odd is not None:
        raise AnalysisError(
            f"{path}: '{field}' should be an integer, got {shown(odd.get(field, MISSING))}"
        )
    unknown = {detection[field] for detection in detections}.difference(known)
    if unknown:
        raise AnalysisError(
            f"{path}: predictions for {len(unknown)} '{field}' that {annotations.path} does not "
            f"have: {quoted(sorted(unknown))}; give the annotations that the detector was tested on"
        )


def _problem(detection: dict[str, Any], annotations: Annotations, iou_type: IoUType) -> str | None:
    """Say what is wrong with a detection."""
    score = detection.get("score", MISSING)
    if not is_number(score):
        return f"'score' should be a finite number, got {shown(score)}"
    if iou_type == "bbox":
        box = detection.get("bbox", MISSING)
        return None if is_box(box) else f"'bbox' should be [x, y, width, height], got {shown(box)}"
    mask = detection.get("segmentation", MISSING)
    if not isinstance(mask, dict) or not isinstance(mask.get("counts"), str):
        return (
            "'segmentation' should be a compressed RLE {'size': [height, width], 'counts': '...'}, "
            f"got {shown(mask)}"
        )
    image = annotations.coco.imgs[detection["image_id"]]
    size = [image["height"], image["width"]]
    if mask.get("size") != size:
        return (
            f"the mask is of size {shown(mask.get('size'))}, image {image['id']} of {size} "
            "(height, width); masks must be at the size of the original image"
        )
    pixels = rle_pixels(mask["counts"])
    if pixels != size[0] * size[1]:
        found = "is not an RLE" if pixels is None else f"describes {pixels} pixels"
        return (
            f"the mask's 'counts' {shown(mask['counts'])} {found}, image {image['id']} has "
            f"{size[0]} x {size[1]}; write the predictions again"
        )
    return None
