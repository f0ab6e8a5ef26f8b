"""What a method saves: its FLOPs over those that scratch needs for the same accuracy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import numpy as np

from mmrbdc.runs.errors import AnalysisError

CONFIDENCE = 0.95
_DRAWS = 2000


@dataclass(frozen=True)
class Point:
    """Runs of one method that spent equally much.

    Attributes:
        flops: training FLOPs of one run.
        scores: final accuracy of each run, in percent; one run per seed.
    """

    flops: float
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy."""
        return float(np.mean(self.scores))


@dataclass(frozen=True)
class Saving:
    """How much less than scratch a method spends for the accuracy that it reaches.

    A saving is ``1 - flops / scratch_flops``: 0.3 is 30 % fewer FLOPs, below zero it costs more.
    Scratch's curve ends at its smallest and its largest budget. An accuracy beyond them says only
    that the saving is below ``least`` or above ``most``, which ``value``, ``low`` and ``high`` tell
    as minus and plus infinity.

    Attributes:
        flops: what the method spends.
        accuracy: what it reaches, mean over seeds, percent.
        value: the saving, or an infinity.
        low: lower end of the 95 % bootstrap interval, or an infinity; None with single seeds only.
        high: its upper end.
        least: the saving against scratch's smallest budget; nothing below it can be measured.
        most: the saving against scratch's largest budget; nothing above it can be measured.
    """

    flops: float
    accuracy: float
    value: float
    low: float | None
    high: float | None
    least: float
    most: float

    @property
    def scratch_flops(self) -> float | None:
        """What scratch spends for the same accuracy; None where that is beyond its curve."""
        return self.flops / (1 - self.value) if math.isfinite(self.value) else None

    def shown(self, value: float) -> str:
        """Show ``value``, one of this saving's, e.g. '31 %', 'at least 50 %', 'below -40 %'."""
        if value == math.inf:
            return f"at least {_percent(self.most)}"
        if value == -math.inf:
            return f"below {_percent(self.least)}"
        return _percent(value)

    @property
    def shown_interval(self) -> str:
        """The interval in words, e.g. '12 % to 43 %'; '-' where there is none."""
        if self.low is None or self.high is None:
            return "-"
        if self.low == self.high and math.isinf(self.low):
            return self.shown(self.low)
        return f"{self.shown(self.low)} to {self.shown(self.high)}"


def flops_at(accuracy: float, flops: Sequence[float], accuracies: Sequence[float]) -> float:
    """Read off a curve the FLOPs that reach an accuracy.

    The curve is first made monotone (isotonic regression: budgets whose accuracy falls behind a
    smaller one's are pooled), then interpolated linearly in accuracy and log FLOPs. Where it is
    flat, the fewest FLOPs count, which never flatters the method that is compared.

    Args:
        accuracy: what is to be reached, percent.
        flops: budgets, rising, at least two.
        accuracies: of the budgets, percent.

    Returns:
        FLOPs; plus infinity for an accuracy above the curve, minus infinity for one below it.

    Raises:
        AnalysisError: fewer than two budgets, or they do not rise.
    """
    if len(flops) != len(accuracies) or len(flops) < 2:
        raise AnalysisError(
            f"a curve needs an accuracy at each of at least two budgets, got {len(flops)} budgets "
            f"and {len(accuracies)} accuracies; train scratch at more budgets"
        )
    if min(flops) <= 0 or any(b <= a for a, b in pairwise(flops)):
        listed = ", ".join(f"{value:g}" for value in flops)
        raise AnalysisError(f"budgets must be positive and rise, got {listed}")
    curve = monotone(accuracies)
    if accuracy > curve[-1]:
        return math.inf
    if accuracy < curve[0]:
        return -math.inf
    right = next(i for i, reached in enumerate(curve) if reached >= accuracy)
    if right == 0 or curve[right] == accuracy:
        return float(flops[right])
    share = (accuracy - curve[right - 1]) / (curve[right] - curve[right - 1])
    return math.exp((1 - share) * math.log(flops[right - 1]) + share * math.log(flops[right]))


def monotone(values: Sequence[float]) -> list[float]:
    """Return the non-decreasing values nearest in squares (pool adjacent violators)."""
    if all(b >= a for a, b in pairwise(values)):
        return list(values)
    pools: list[list[float]] = []
    for value in values:
        pools.append([value])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return [fmean(pool) for pool in pools for _ in pool]


def saving(method: Point, scratch: Sequence[Point], *, seed: int = 0) -> Saving:
    """Compare a method with scratch at equal accuracy.

    The interval is a percentile bootstrap over seeds: the runs of every point are drawn again with
    replacement, and the saving is computed anew from the means. Deviations from a point's mean are
    widened by ``sqrt(n / (n - 1))``, since the plain bootstrap's variance of a mean of n values is
    too small by that factor squared. With few seeds the interval is still a rough one.

    Args:
        method: its runs.
        scratch: at least two budgets, in any order.
        seed: of the draws.

    Raises:
        AnalysisError: scratch has fewer than two different budgets, or a point has no run.
    """
    curve = sorted(scratch, key=lambda point: point.flops)
    if not method.scores or not all(point.scores for point in curve):
        raise AnalysisError("a point without runs; name the work dirs of its runs")
    flops = [point.flops for point in curve]

    def value(accuracy: float, accuracies: Sequence[float]) -> float:
        needed = flops_at(accuracy, flops, accuracies)
        return needed if math.isinf(needed) else 1 - method.flops / needed

    low = high = None
    if any(len(point.scores) > 1 for point in (method, *curve)):
        rng = np.random.default_rng(seed)
        ours = _redrawn_means(method, rng)
        theirs = np.stack([_redrawn_means(point, rng) for point in curve], axis=1)
        drawn = [value(a, b) for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)]
        tail = (1 - CONFIDENCE) / 2
        ranked = sorted(drawn)  # order statistics, since infinities cannot be averaged
        low, high = (ranked[round(share * (_DRAWS - 1))] for share in (tail, 1 - tail))
    return Saving(
        flops=method.flops,
        accuracy=method.mean,
        value=value(method.mean, [point.mean for point in curve]),
        low=low,
        high=high,
        least=1 - method.flops / flops[0],
        most=1 - method.flops / flops[-1],
    )


def _redrawn_means(point: Point, rng: np.random.Generator) -> np.ndarray:
    scores = np.array(point.scores)
    means = rng.choice(scores, size=(_DRAWS, scores.size)).mean(axis=1)
    widening = math.sqrt(scores.size / max(scores.size - 1, 1))
    return point.mean + widening * (means - point.mean)


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
