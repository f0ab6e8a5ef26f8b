"""Methods at one budget, ranked, each compared with RBDC and with scratch seed by seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from mmrbdc.analysis.statistics import PairedDifference
from mmrbdc.analysis.study import Study, Variant

TOLERANCE = 0.01
"""Largest difference of a method's FLOPs from the budget, as a share of it."""

_NEAR = 0.1
"""Farther from the budget than this is another budget."""

AGAINST = ("rbdc", "scratch")


@dataclass(frozen=True)
class Place:
    """One method at the budget.

    Attributes:
        variant: its runs.
        junction: of each junction, in order: accuracy of the parents' ensemble, of the child before
            its first step (means over children and seeds), percent.
        wall_s: mean seconds of a run.
        differences: to ``AGAINST``, paired by seed; those with fewer than two common seeds left
            out. Of several variants of RBDC it is to the one that the study calls ``rbdc``.
        off: FLOPs over the budget minus 1.
        growing: share of the FLOPs that the operator spent by itself.
    """

    variant: Variant
    junction: tuple[tuple[float, float], ...]
    wall_s: float
    differences: dict[str, PairedDifference]
    off: float
    growing: float

    @property
    def on_budget(self) -> bool:
        """Whether the FLOPs that the ledgers say are the budget's."""
        return abs(self.off) <= TOLERANCE


def rank(study: Study, budget: float) -> list[Place]:
    """Rank what was trained at ``budget``, a share of the reference's FLOPs, best mean first.

    One-off costs of an operator and the training of all parents are in the ledger that a method's
    FLOPs are read from.
    """
    there = [v for v in study.variants if abs(v.share / budget - 1) <= _NEAR]
    rivals = {method: rival for method in AGAINST if (rival := _rival(there, method))}
    places = [
        Place(
            variant=variant,
            junction=_junctions(variant),
            wall_s=fmean(run.wall_s for run in variant.runs),
            off=variant.share / budget - 1,
            growing=sum(stage.growth_flops for stage in variant.runs[0].stages) / variant.flops,
            differences={
                method: found
                for method, rival in rivals.items()
                if rival is not variant and (found := _paired(variant, rival)) is not None
            },
        )
        for variant in there
    ]
    return sorted(places, key=lambda place: -place.variant.top1.mean)


def _rival(there: Sequence[Variant], method: str) -> Variant | None:
    """Of several variants of a method the one that is called like it."""
    found = [v for v in there if v.method == method]
    return next((v for v in found if v.name == method), found[0] if found else None)


def _paired(one: Variant, other: Variant) -> PairedDifference | None:
    mine = {run.seed: run.top1 for run in one.runs if run.seed is not None}
    theirs = {run.seed: run.top1 for run in other.runs if run.seed is not None}
    seeds = tuple(sorted(mine.keys() & theirs.keys()))
    if len(seeds) < 2:
        return None
    differences = tuple(mine[seed] - theirs[seed] for seed in seeds)
    return PairedDifference(one.label, other.label, one.runs[0].family, "top1", differences, seeds)


def _junctions(variant: Variant) -> tuple[tuple[float, float], ...]:
    found: list[tuple[float, float]] = []
    for stages in zip(*(run.stages[1:] for run in variant.runs), strict=True):
        children = [c for stage in stages if stage.junction for c in stage.junction.children]
        if children:
            found.append((fmean(c.ensemble for c in children), fmean(c.child for c in children)))
    return tuple(found)
