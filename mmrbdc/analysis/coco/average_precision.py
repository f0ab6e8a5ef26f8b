"""COCO's average precision where each image counts a whole number of times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mmrbdc.analysis.coco.sorted_detections import (
    IOU_THRESHOLDS,
    RECALL_THRESHOLDS,
    SortedDetections,
)

_ROWS = 64
"""Rows of weights that are worked on at a time; bounds the memory."""


def average_precision(
    rankings: Sequence[SortedDetections], weights: np.ndarray, iou: float | None = None
) -> np.ndarray:
    """Return AP for each of several ways of counting the images.

    A row of weights stands for the data set in which image i is there ``weights[i]`` times. The
    value is the one that ``COCOeval.accumulate`` and ``summarize`` of pycocotools give for that
    data set, to the last digit, if the copies of an image stand side by side in it. (Only where
    two detections of one image and category have equal scores may the two differ: theirs are then
    ranked copy by copy, here the copies of each detection stand together.)

    The ranking never changes, so nothing is sorted again: with w the weights of the images in
    rank order, tp = cumsum(w * hit) and fp = cumsum(w * miss), precision = tp / (tp + fp), which
    is made non-increasing from the right and read where recall = tp / positives first reaches
    0, 0.01, ..., 1 (Lin et al., Microsoft COCO, 2014; pycocotools 2.0). Precision only rises
    at hits, so it is computed there alone.

    Args:
        rankings: of K categories, in one area range.
        weights: (B, I) integers, not negative.
        iou: one of ``IOU_THRESHOLDS``; None for the mean over all of them.

    Returns:
        (B,): the mean over thresholds, recalls and those categories that have an object to find;
        -1 where none has.
    """
    thresholds: np.ndarray = np.arange(len(IOU_THRESHOLDS))
    if iou is not None:
        thresholds = np.flatnonzero(iou == IOU_THRESHOLDS)
    assert len(thresholds), f"{iou} is none of {IOU_THRESHOLDS}"
    categories = [_HitIndex.of(ranking, thresholds) for ranking in rankings]
    # As floats BLAS multiplies them, and they stay whole.
    objects = np.stack([ranking.positives for ranking in rankings], axis=1).astype(float)
    means = np.empty(len(weights))
    for begin in range(0, len(weights), _ROWS):
        rows = np.ascontiguousarray(weights[begin : begin + _ROWS], dtype=np.int32)
        shape = (len(rows), len(thresholds), len(RECALL_THRESHOLDS), len(categories))
        precision = np.full(shape, -1.0)
        positives = rows @ objects
        for k, category in enumerate(categories):
            there = positives[:, k] > 0
            if there.any():
                needed = _hits_needed(positives[there, k])
                for t, values in enumerate(category.precision(rows[there], needed)):
                    precision[there, t, :, k] = values
        for b, values in enumerate(precision, start=begin):
            # The very array, in the very order, that COCOeval.summarize averages.
            defined = values[values > -1]
            means[b] = np.mean(defined) if defined.size else -1
    return means


@dataclass(frozen=True)
class _HitIndex:
    """Where in a ranking the hits are, once for all weights.

    Attributes:
        images: (D',), the images of the detections up to the last hit, those that are ignored at
            every threshold left out.
        hits: for each threshold the positions of the hits in ``images``.
        ignored: for each threshold the positions of the ignored.
        ignored_before: for each threshold and hit, how many ignored stand before it.
    """

    images: np.ndarray
    hits: list[np.ndarray]
    ignored: list[np.ndarray]
    ignored_before: list[np.ndarray]

    @classmethod
    def of(cls, ranking: SortedDetections, thresholds: np.ndarray) -> "_HitIndex":
        hit, ignored = ranking.hits[thresholds], ranking.ignored[thresholds]
        counts = ~ignored.all(axis=0)
        ranks_hit = np.flatnonzero(hit.any(axis=0))
        counts[ranks_hit[-1] + 1 if len(ranks_hit) else 0 :] = False
        hits = [np.flatnonzero(row) for row in hit[:, counts]]
        skipped = [np.flatnonzero(row) for row in ignored[:, counts]]
        before = [np.searchsorted(*pair) for pair in zip(skipped, hits, strict=True)]
        return cls(ranking.images[counts], hits, skipped, before)

    def precision(self, weights: np.ndarray, needed: np.ndarray) -> Iterator[np.ndarray]:
        """Yield for each threshold the precision at each recall, (B, R).

        Args:
            weights: (B, I).
            needed: (B, R), from :func:`_hits_needed`.
        """
        each = weights.take(self.images, axis=1)
        seen = each.cumsum(axis=1, dtype=np.int32)
        for hits, ignored, before in zip(self.hits, self.ignored, self.ignored_before, strict=True):
            copies = each.take(hits, axis=1)
            found = copies.cumsum(axis=1, dtype=np.int32)
            counted = seen.take(hits, axis=1)
            if len(ignored):
                counted -= _cumsum_from_zero(each.take(ignored, axis=1)).take(before, axis=1)
            precision = found / (counted + np.spacing(1))
            envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            yield _read_at(envelope, copies, needed)


def _hits_needed(positives: np.ndarray) -> np.ndarray:
    """Return the least m >= 1 with m / positives >= r for each recall threshold r, (B, R).

    The division is the one whose rounding COCOeval compares with r.
    """
    counts = positives[:, None]
    m = np.ceil(RECALL_THRESHOLDS * counts)
    m += m / counts < RECALL_THRESHOLDS
    m -= (m - 1) / counts >= RECALL_THRESHOLDS
    return np.maximum(m, 1).astype(np.int64)


def _read_at(envelope: np.ndarray, copies: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """Return the envelope at the needed-th hit of each row, (B, R); 0 where there are fewer.

    Args:
        envelope: (B, H), at each hit.
        copies: (B, H), how often each hit counts.
        needed: (B, R).
    """
    totals = copies.sum(axis=1, dtype=np.int64)[:, None]
    ends = totals.cumsum(axis=0)
    every = np.append(np.repeat(envelope.ravel(), copies.ravel()), 0.0)
    reached = needed <= totals
    return every[np.where(reached, ends - totals + needed - 1, -1)]


def _cumsum_from_zero(values: np.ndarray) -> np.ndarray:
    sums = np.zeros((len(values), values.shape[1] + 1), dtype=np.int32)
    values.cumsum(axis=1, dtype=np.int32, out=sums[:, 1:])
    return sums
