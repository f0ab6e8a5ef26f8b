"""Methods at one budget, ranked, each compared with RBDC and with scratch seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from mmrbdc.analysis.compare.groups import PairedDifference
from mmrbdc.analysis.study.variants import Study, Variant
from mmrbdc.methods.readers import baselines
from mmrbdc.runs.pretraining import stages_in_common

TOLERANCE = 0.01
"""Largest difference of a method's FLOPs from the budget, as a share of it."""


@dataclass(frozen=True)
class Place:
    """One method at the budget.

    Attributes:
        variant: its finished runs.
        planned: how many runs, one per seed, the study has of it.
        junction: of each junction, in order: validation accuracy of the parents' ensemble, of the
            child before its first step (means over children and seeds), percent.
        wall_s: mean seconds of a run.
        differences: to the baselines among the methods, paired by seed; those with fewer than two
            common seeds left out. Of several variants of one it is to the one called like it.
        off: FLOPs over the budget minus 1, of the run that is farthest from it.
        growing: share of the FLOPs that the operator spent by itself, as planned.
    """

    variant: Variant
    planned: int
    junction: tuple[tuple[float, float], ...]
    wall_s: float
    differences: dict[str, PairedDifference]
    off: float
    growing: float

    @property
    def on_budget(self) -> bool:
        """Whether the FLOPs that the ledgers say are the budget's."""
        return abs(self.off) <= TOLERANCE


@dataclass(frozen=True)
class Ranking:
    """All methods of a study at one budget.

    Attributes:
        budget: share of the reference's FLOPs.
        places: best mean first.
        holes: methods of which no run at the budget is finished, by the study's names.
        unranked: methods that the study does not train at the budget.
        missing: names of all runs, at any budget, that are not finished.
    """

    budget: float
    places: tuple[Place, ...]
    holes: tuple[str, ...]
    unranked: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def seeds(self) -> int:
        """The most finished runs that a method has."""
        return max((len(place.variant.runs) for place in self.places), default=0)


def rank(
    study: Study,
    budget: float,
    planned: Mapping[str, Sequence[Path]],
    missing: Sequence[str] = (),
) -> Ranking:
    """Rank what was planned at one budget.

    One-off costs of an operator and the training of all parents are in the ledger that a method's
    FLOPs are read from.

    Args:
        study: all finished runs.
        budget: share of the reference's FLOPs.
        planned: method, as the study calls it -> work dirs of its runs at that budget.
        missing: names of runs that are not finished.
    """
    owners = {path.resolve(): label for label, paths in planned.items() for path in paths}
    there = {
        owner: variant
        for variant in study.variants
        if (owner := owners.get(variant.runs[0].path.resolve()))
    }
    places = _places(study, budget, there, {label: len(paths) for label, paths in planned.items()})
    return Ranking(
        budget=budget,
        places=tuple(sorted(places, key=lambda place: -place.variant.top1.mean)),
        holes=tuple(label for label, paths in planned.items() if paths and label not in there),
        unranked=tuple(label for label, paths in planned.items() if not paths),
        missing=tuple(missing),
    )


def _places(
    study: Study, budget: float, there: Mapping[str, Variant], planned: Mapping[str, int]
) -> list[Place]:
    variants = list(there.values())
    rivals = {method: rival for method in baselines() if (rival := _rival(variants, method))}
    return [
        Place(
            variant=variant,
            planned=planned[label],
            junction=_junctions(variant),
            wall_s=fmean(run.wall_s for run in variant.runs),
            off=max(
                (run.train_flops / study.reference_flops / budget - 1 for run in variant.runs),
                key=abs,
            ),
            growing=sum(stage.growth_flops for stage in variant.runs[0].stages) / variant.flops,
            differences={
                method: found
                for method, rival in rivals.items()
                if rival is not variant and (found := _paired(variant, rival)) is not None
            },
        )
        for label, variant in there.items()
    ]


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
    for stages in stages_in_common(variant.runs):
        children = [c for stage in stages if stage.junction for c in stage.junction.children]
        if children:
            found.append((fmean(c.ensemble for c in children), fmean(c.child for c in children)))
    return tuple(found)
