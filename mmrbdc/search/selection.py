"""Which candidate a stage goes on with, from the losses and the costs of all.

AutoProg (CVPR 2022, arXiv 2203.14509): a power law L = a T^b of mean losses L and costs T is fitted
to all candidates, and the lowest L T^w with w = max(-b, 0) wins: the candidate that is furthest
below the law. Where loss does not fall with cost, w is 0 and the lowest loss wins.

Two candidates always tie, for the curve passes through both, and so do all on an exact law. There
rounding decides in the released code; here the cheaper wins.
"""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit

from mmrbdc.search.candidates import SubNet
from mmrbdc.search.errors import SearchError

TIE = 1e-6
"""Scores this close to the lowest, relative to it, are as good."""
_CLOSE = 1e-16
"""Share of the losses' squares by which two fits may differ and be as good."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and all that the choice rests on.

    Attributes:
        candidates: in the order in which they were listed.
        losses: mean loss of each.
        costs: of each, in the unit that they were given in.
        fit: ``'least squares'``, ``'logarithms'`` or ``'none'``, see :func:`choose`.
        a: factor of the law for costs in that unit; ``None`` without a fit, and where it is beyond
            what a float holds.
        b: exponent of the law; ``None`` without a fit.
        w: how much cost counts, max(-b, 0); 0 without a fit.
        scores: loss times cost^w, with costs as shares of the dearest candidate's, so that this
            one's score is its loss in whatever unit.
        index: of the chosen candidate.
    """

    candidates: tuple[SubNet, ...]
    losses: tuple[float, ...]
    costs: tuple[float, ...]
    fit: str
    a: float | None
    b: float | None
    w: float
    scores: tuple[float, ...]
    index: int

    @property
    def chosen(self) -> SubNet:
        """The candidate that the stage goes on with."""
        return self.candidates[self.index]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields and ``chosen`` in JSON's types."""
        fields = {
            name: [*value] if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }
        return fields | {"chosen": asdict(self.chosen)}


def choose(
    candidates: Sequence[SubNet], losses: Sequence[Sequence[float]], costs: Sequence[float]
) -> Choice:
    """Choose the candidate with the lowest loss for its cost.

    The law is fitted by least squares of the mean losses themselves, from a = b = 1, with costs as
    shares of the dearest: their unit does not matter. Where that does not converge, or ends further
    from the losses than the straight line through the logarithms, it is this line (``fit`` says
    so). One candidate, or candidates of one cost, have no law: the lowest loss wins. Among scores
    within ``TIE`` of the lowest the cheaper candidate wins, then the earlier.

    Args:
        candidates: at least one.
        losses: of each candidate, one loss per evaluation.
        costs: of each candidate, for example training FLOPs per image.

    Raises:
        SearchError: none or of different numbers, a loss that is not finite, a mean loss or a cost
            that is not above 0.
    """
    if not candidates or not len(candidates) == len(losses) == len(costs):
        raise SearchError(
            f"{len(candidates)} candidates, losses of {len(losses)} and costs of {len(costs)}; "
            "each candidate has one cost and its own losses"
        )
    means = np.array([_mean(c, found) for c, found in zip(candidates, losses, strict=True)])
    for candidate, cost in zip(candidates, costs, strict=True):
        if not 0 < cost < np.inf:
            raise SearchError(f"{candidate}: the cost is {cost}; expected a number above 0")
    dearest = float(max(costs))
    shares = np.array([cost / dearest for cost in costs])
    law = None if np.all(shares == 1) else _law(shares, means)
    fit, factor, b = law or ("none", None, None)
    w = 0.0 if b is None else max(-b, 0.0)
    scores = means * shares**w
    good = np.flatnonzero(scores <= scores.min() * (1 + TIE))
    return Choice(
        candidates=tuple(candidates),
        losses=tuple(means.tolist()),
        costs=tuple(map(float, costs)),
        fit=fit,
        a=None if factor is None or b is None else _in_unit(factor, b, dearest),
        b=b,
        w=w,
        scores=tuple(scores.tolist()),
        index=min(good.tolist(), key=lambda i: (costs[i], i)),
    )


def _mean(candidate: SubNet, losses: Sequence[float]) -> float:
    words = ", ".join(f"{loss:.6g}" for loss in losses)
    if not np.all(np.isfinite(losses)):
        raise SearchError(
            f"{candidate}: the losses of its evaluations are {words}, and not all are finite; the "
            "supernet has diverged, so lower the learning rate or clip gradients"
        )
    mean = float(np.mean(losses)) if len(losses) else 0.0
    if mean <= 0:
        raise SearchError(
            f"{candidate}: the losses of its evaluations are {words or 'none'}; expected one or "
            "more with a mean above 0, as cross-entropy has"
        )
    return mean


def _law(shares: NDArray[np.float64], means: NDArray[np.float64]) -> tuple[str, float, float]:
    """How the law was fitted, its factor for the dearest candidate, and its exponent."""
    slope, level = np.polyfit(np.log(shares), np.log(means), 1)
    line = "logarithms", float(np.exp(level)), float(slope)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Two candidates leave nothing to estimate a covariance from, which is not asked for.
            warnings.simplefilter("ignore", OptimizeWarning)
            (factor, b), _ = curve_fit(_power, shares, means, p0=(1.0, 1.0))
    except RuntimeError:
        return line
    curve = "least squares", float(factor), float(b)
    further = _distance(curve, shares, means) - _distance(line, shares, means)
    # Written so that a distance that is not a number loses.
    return curve if further <= _CLOSE * float(np.sum(means**2)) else line


def _power(cost: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    return a * cost**b


def _distance(
    law: tuple[str, float, float], shares: NDArray[np.float64], means: NDArray[np.float64]
) -> float:
    with np.errstate(all="ignore"):
        return float(np.sum((_power(shares, *law[1:]) - means) ** 2))


def _in_unit(factor: float, b: float, dearest: float) -> float | None:
    """The factor of a law for costs in their own unit."""
    with np.errstate(all="ignore"):
        a = float(np.float64(factor) * np.float64(dearest) ** -b)
    return a if np.isfinite(a) else None
