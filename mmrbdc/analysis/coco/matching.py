"""Detections matched with objects, once for each image; everything else counts the matches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from mmrbdc.analysis.coco.annotations import Annotations
from mmrbdc.analysis.coco.average_precision import average_precision
from mmrbdc.analysis.coco.predictions import IoUType, Predictions
from mmrbdc.analysis.coco.sorted_detections import IOU_THRESHOLDS, SortedDetections
from mmrbdc.datasets.coco import quietly
from mmrbdc.datasets.detection.limits import COCO_MAX_DETS
from mmrbdc.runs.errors import AnalysisError

METRICS: dict[str, tuple[str, float | None]] = {
    "mAP": ("all", None),
    "mAP_50": ("all", 0.5),
    "mAP_75": ("all", 0.75),
    "mAP_s": ("small", None),
    "mAP_m": ("medium", None),
    "mAP_l": ("large", None),
}
"""Name, as MMDetection calls it -> COCO's area range and IoU threshold (None: mean over all)."""


@dataclass(frozen=True, eq=False)
class Matches:
    """The detections of one model, matched.

    Attributes:
        annotations: of the data set.
        path: of the predictions.
        iou_type: of the matches.
        rankings: COCO's area range -> a ranking for each category, in the order of their ids.
        resampled: AP of resamples that were already computed, see ``paired_bootstrap``.
    """

    annotations: Annotations
    path: Path
    iou_type: IoUType
    rankings: dict[str, list[SortedDetections]]
    resampled: dict[tuple[str, int, int], np.ndarray] = field(default_factory=dict, repr=False)

    def weighted(self, metric: str, weights: np.ndarray) -> np.ndarray:
        """Return a metric where images count several times, see :func:`average_precision`.

        Args:
            metric: a key of ``METRICS``.
            weights: (B, I) integers; the images are in the order of their ids.

        Returns:
            (B,), from 0 to 1; -1 where there is nothing to find.
        """
        area, iou = METRICS[metric]
        return average_precision(self.rankings[area], weights, iou)

    def scores(self) -> dict[str, float]:
        """Return all ``METRICS``, 0 to 1 and -1 where there is nothing to find.

        Equal to the first six ``stats`` of pycocotools' COCOeval to the last digit; for matches of
        another number of detections than 100, to what its ``eval['precision']`` has at that number.
        """
        once = np.ones((1, len(self.annotations.coco.imgs)), dtype=np.int32)
        return {metric: float(self.weighted(metric, once)[0]) for metric in METRICS}


def match(
    annotations: Annotations,
    predictions: Predictions,
    iou_type: IoUType,
    max_dets: int = COCO_MAX_DETS,
) -> Matches:
    """Match a model's detections with pycocotools: its IoU, its rules, its order.

    At most ``max_dets`` detections an image and category, IoU thresholds 0.50 to 0.95, all four
    area ranges. On 5,000 images this takes a minute or two; the matches can then be counted often.

    Raises:
        AnalysisError: the predictions were read for other annotations or another ``iou_type``;
            masks are asked for and an object has none.
    """
    if predictions.annotations.sha256 != annotations.sha256:
        raise AnalysisError(
            f"{predictions.path} was read for {predictions.annotations.path}, not for "
            f"{annotations.path}; read it again for these"
        )
    if predictions.iou_type != iou_type:
        raise AnalysisError(
            f"{predictions.path} was read as '{predictions.iou_type}', not as '{iou_type}'; read "
            f"it again with iou_type='{iou_type}'"
        )
    if iou_type == "segm":
        bare = [
            id_ for id_, found in annotations.coco.anns.items() if not found.get("segmentation")
        ]
        if bare:
            raise AnalysisError(
                f"{annotations.path}: annotation {bare[0]} and {len(bare) - 1} more have no "
                "'segmentation'; masks cannot be compared, take iou_type='bbox'"
            )
    evaluator = COCOeval(annotations.coco, predictions.coco, iou_type)
    evaluator.params.maxDets = [max_dets]
    with quietly():
        evaluator.evaluate()
    areas, images = evaluator.params.areaRngLbl, len(evaluator.params.imgIds)
    rankings: dict[str, list[SortedDetections]] = {area: [] for area in areas}
    # evalImgs runs over categories, then area ranges, then images.
    for number, begin in enumerate(range(0, len(evaluator.evalImgs), images)):
        ranking = _ranking(evaluator.evalImgs[begin : begin + images])
        rankings[areas[number % len(areas)]].append(ranking)
    return Matches(annotations, predictions.path, iou_type, rankings)


def _ranking(evaluations: Sequence[dict[str, Any] | None]) -> SortedDetections:
    """Join what ``COCOeval.evaluateImg`` found on each image for one category and area range."""
    positives = np.zeros(len(evaluations), dtype=np.int32)
    present = [(i, found) for i, found in enumerate(evaluations) if found is not None]
    for i, found in present:
        positives[i] = np.count_nonzero(found["gtIgnore"] == 0)
    counts = [len(found["dtScores"]) for _, found in present]
    scores = np.fromiter(chain(*(found["dtScores"] for _, found in present)), dtype=float)
    images = np.repeat(np.array([i for i, _ in present], dtype=np.int32), counts)
    none = np.zeros((len(IOU_THRESHOLDS), 0))
    matched = np.concatenate([none, *(found["dtMatches"] for _, found in present)], axis=1) != 0
    ignored = np.concatenate([none, *(found["dtIgnore"] for _, found in present)], axis=1) != 0
    order = np.argsort(-scores, kind="mergesort")
    return SortedDetections(
        images=images[order],
        scores=scores[order],
        hits=(matched & ~ignored)[:, order],
        ignored=ignored[:, order],
        positives=positives,
    )
