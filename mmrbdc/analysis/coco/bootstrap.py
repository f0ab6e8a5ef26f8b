"""Is the difference between two detectors more than the luck of the test images?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmrbdc.analysis.coco.matching import METRICS, Matches
from mmrbdc.runs.errors import AnalysisError

_ENDS = (0.025, 0.975)
"""Quantiles at the ends of the 95 % interval."""


@dataclass(frozen=True)
class PairedBootstrap:
    """A difference of AP and how far the choice of the test images lets it vary.

    Attributes:
        difference: on the images as they are, 0 to 1.
        low: lower end of the 95 % percentile interval.
        high: its upper end.
        p: two-sided, of "there is no difference".
        resamples: that went into it; those without an object to find are left out.
    """

    difference: float
    low: float
    high: float
    p: float
    resamples: int


def paired_bootstrap(
    a: Matches | Sequence[Matches],
    b: Matches | Sequence[Matches],
    resamples: int = 1000,
    seed: int = 0,
    metric: str = "mAP",
) -> PairedBootstrap:
    """Compare two models, or the means of two sets of seeds, on resampled images.

    Each resample draws as many images as there are, with replacement, and scores all models on
    the same draw; d is the difference of AP (of mean AP over seeds) on it. The interval is from
    the 2.5 % to the 97.5 % quantile of d (Efron and Tibshirani, An Introduction to the Bootstrap,
    1993, section 13.3). With n resamples p = min(1, 2 (1 + min(#{d <= 0}, #{d >= 0})) / (1 + n)),
    the level at which that interval begins to hold zero (paired as in Koehn, Statistical
    Significance Tests for Machine Translation Evaluation, EMNLP 2004; the added ones as in
    Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 4.2).

    This is the variance of the test set alone: what would another sample of images have said of
    these very models? How much another training run differs is the spread over seeds, which is
    reported apart.

    Args:
        a: matches of one model, or of one for each seed.
        b: what is subtracted.
        resamples: number of draws.
        seed: of the draws; the same seed draws the same images for every pair, and a model's
            resampled scores are kept in its ``Matches``, so a further pair costs only new models.
        metric: a key of ``METRICS``.

    Raises:
        AnalysisError: the matches are of different data sets, or of boxes and masks; a side is
            empty; there is nothing to find for this metric; arguments out of range.
    """
    sides = [[side] if isinstance(side, Matches) else list(side) for side in (a, b)]
    _check(sides, resamples, metric)
    images = len(sides[0][0].annotations.coco.imgs)
    once = np.ones((1, images), dtype=np.int32)
    observed = _difference([[m.weighted(metric, once) for m in side] for side in sides])
    if not observed.size:
        raise AnalysisError(
            f"{metric} is not defined: {sides[0][0].annotations.path} has no such objects"
        )
    drawn = _difference([[_resampled(m, metric, resamples, seed) for m in side] for side in sides])
    if not drawn.size:
        raise AnalysisError(f"none of {resamples} resamples has an object for {metric}; take more")
    low, high = np.quantile(drawn, _ENDS)
    tail = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    p = min(1.0, 2 * (1 + int(tail)) / (1 + len(drawn)))
    return PairedBootstrap(float(observed[0]), float(low), float(high), p, len(drawn))


def _check(sides: Sequence[Sequence[Matches]], resamples: int, metric: str) -> None:
    if metric not in METRICS:
        raise AnalysisError(f"no metric {metric!r}; known: {', '.join(METRICS)}")
    if resamples < 1:
        raise AnalysisError(f"resamples should be at least 1, got {resamples}")
    if not all(sides):
        raise AnalysisError("a paired bootstrap needs the matches of two models, one is missing")
    first, *others = [matches for side in sides for matches in side]
    for other in others:
        check_comparable(first, other)


def check_comparable(a: Matches, b: Matches) -> None:
    """Check that two models were scored on the same data set and in the same way.

    Raises:
        AnalysisError: they were not.
    """
    if a.annotations.sha256 != b.annotations.sha256:
        raise AnalysisError(
            f"{a.path} was scored on {a.annotations.path} and {b.path} on {b.annotations.path}, "
            "which are different data sets; test both on one"
        )
    if a.iou_type != b.iou_type:
        raise AnalysisError(
            f"{a.path} was matched as '{a.iou_type}' and {b.path} as '{b.iou_type}'; compare boxes "
            "with boxes and masks with masks"
        )


def _resampled(matches: Matches, metric: str, resamples: int, seed: int) -> np.ndarray:
    """Return AP on each resample, (resamples,)."""
    key = (metric, resamples, seed)
    if key not in matches.resampled:
        images = len(matches.annotations.coco.imgs)
        matches.resampled[key] = matches.weighted(metric, image_counts(images, resamples, seed))
    return matches.resampled[key]


def image_counts(images: int, resamples: int, seed: int) -> np.ndarray:
    """Return how often each image is in each resample, (resamples, images); rows sum to images."""
    rng = np.random.Generator(np.random.PCG64(seed))
    draws = (rng.integers(images, size=images) for _ in range(resamples))
    return np.stack([np.bincount(draw, minlength=images).astype(np.int32) for draw in draws])


def _difference(scores: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Return the difference of the means of two sets, without the entries that are undefined."""
    a, b = (np.stack(side) for side in scores)
    defined = (a > -1).all(axis=0) & (b > -1).all(axis=0)
    return a[:, defined].mean(axis=0) - b[:, defined].mean(axis=0)
