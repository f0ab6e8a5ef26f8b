"""Means over seeds, and differences between methods paired by seed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from mmrbdc.analysis.compare.learning_rates import chosen
from mmrbdc.analysis.reading.rows import Comparison, Row
from mmrbdc.methods.readers import method_label

METRICS = {"top1": "top-1 %", "bbox_mAP": "box AP", "segm_mAP": "mask AP"}
"""The compared accuracies: field of a row -> heading; APs are shown times 100, as COCO does."""

_CONFIDENCE = 0.95
_EXACT_UP_TO = 2**16


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of ``n`` values; ``sd`` is None for a single one."""

    mean: float
    sd: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise at least one value."""
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(float(np.mean(values)), sd, len(values))


@dataclass(frozen=True)
class Group:
    """The runs of one method that differ in their seed alone.

    Attributes:
        method: of all rows.
        family: of all rows.
        label: what readers call it; names pretraining and detector only where it must.
        rows: sorted by seed.
        grid: the runs of all learning rates, of which ``rows`` have the best (see ``chosen``).
    """

    method: str
    family: str
    label: str
    rows: tuple[Row, ...]
    grid: tuple[Row, ...] = ()

    def seed_of(self, row: Row) -> int | None:
        """Return the seed that tells a run from the others of the group.

        That is the pretraining's, or the fine-tuning's where all started from one pretraining.
        """
        own = {row.seed for row in self.rows}
        return row.finetune_seed if len(own) == 1 and row.detector else row.seed

    def by_seed(self, field: str) -> dict[int, float]:
        """Return the mean of ``field`` over the runs of each seed; runs without either left out."""
        values: dict[int, list[float]] = {}
        for row in self.rows:
            value = shown_value(row, field)
            seed = self.seed_of(row)
            if value is not None and seed is not None:
                values.setdefault(seed, []).append(value)
        return {seed: float(np.mean(found)) for seed, found in values.items()}

    def spread(self, field: str) -> Spread | None:
        """Summarise ``field`` over seeds; None where no run has it.

        Runs of one seed count once, with their mean; a run without a seed counts for itself.
        """
        unseeded = [shown_value(row, field) for row in self.rows if self.seed_of(row) is None]
        values = [*self.by_seed(field).values(), *(v for v in unseeded if v is not None)]
        return Spread.of(values) if values else None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The different seeds, sorted."""
        seeds = {self.seed_of(row) for row in self.rows}
        return tuple(sorted(seed for seed in seeds if seed is not None))

    @property
    def detector_type(self) -> str | None:
        """Class of the detector; None for pretrainings alone."""
        return self.rows[0].detector_type


@dataclass(frozen=True)
class PairedDifference:
    """Two groups compared on the seeds that both have.

    Attributes:
        first: label of the group that is subtracted from.
        second: label of the group that is subtracted.
        family: of both.
        field: the metric, a key of ``METRICS``.
        differences: first minus second for each common seed, in points (percent, or AP times 100).
        seeds: the common seeds, in the order of ``differences``.
    """

    first: str
    second: str
    family: str
    field: str
    differences: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def spread(self) -> Spread:
        """Mean and standard deviation of the differences."""
        return Spread.of(self.differences)

    @property
    def interval(self) -> tuple[float, float]:
        """Student's 95 % interval of the mean difference: mean +- t(n-1) sd / sqrt(n)."""
        spread = self.spread
        assert spread.sd is not None
        quantile = float(stats.t.ppf(0.5 + _CONFIDENCE / 2, spread.n - 1))
        half = quantile * spread.sd / math.sqrt(spread.n)
        return spread.mean - half, spread.mean + half

    @property
    def p_value(self) -> float:
        """Two-sided p of the sign-flip permutation test, exact up to 16 seeds.

        The share of the 2**n ways of giving the differences their signs whose mean is at least as
        far from zero; with n seeds it cannot be below 2 / 2**n.
        """
        result = stats.permutation_test(
            (np.array(self.differences),),
            lambda values, axis: np.mean(values, axis=axis),
            permutation_type="samples",
            n_resamples=_EXACT_UP_TO,
            vectorized=True,
            rng=0,
        )
        return float(result.pvalue)


def shown_value(row: Row, field: str) -> float | None:
    """Return a field in the unit it is shown in: APs in points of 100, the rest as it is."""
    value = getattr(row, field)
    if value is None:
        return None
    return 100 * value if "mAP" in field else float(value)


def groups(comparison: Comparison) -> list[Group]:
    """Gather rows of the same family, method, pretraining and detector, at their best lr."""
    gathered: dict[tuple[str, str, str, str | None], list[Row]] = {}
    for row in comparison.rows:
        gathered.setdefault((row.family, row.method, row.name, row.detector), []).append(row)
    return [
        Group(
            method,
            family,
            _label((family, method, name, detector), gathered),
            chosen(rows),
            tuple(rows),
        )
        for (family, method, name, detector), rows in gathered.items()
    ]


def families(found: Iterable[Group]) -> list[str]:
    """List the families of the groups, each once, sorted."""
    return sorted({group.family for group in found})


def pairs(found: Sequence[Group]) -> list[tuple[Group, Group]]:
    """List every two groups of a family, those of different detectors left out."""
    return [
        (first, second)
        for first, second in combinations(found, 2)
        if first.family == second.family
        and (
            first.detector_type == second.detector_type
            or None in (first.detector_type, second.detector_type)
        )
    ]


def paired_differences(found: Sequence[Group]) -> list[PairedDifference]:
    """Compare every two groups of a family on every metric that at least two seeds share."""
    differences = []
    for first, second in pairs(found):
        for field in METRICS:
            ours, theirs = first.by_seed(field), second.by_seed(field)
            seeds = tuple(sorted(s for s in ours.keys() & theirs.keys() if s is not None))
            if len(seeds) > 1:
                values = tuple(ours[seed] - theirs[seed] for seed in seeds)
                differences.append(
                    PairedDifference(first.label, second.label, first.family, field, values, seeds)
                )
    return differences


def _label(
    key: tuple[str, str, str, str | None],
    all_keys: Iterable[tuple[str, str, str, str | None]],
) -> str:
    family, method, name, detector = key
    rivals = [other for other in all_keys if other[:2] == (family, method)]
    parts = [method_label(method)]
    if len({other[2] for other in rivals}) > 1:
        parts.append(name)
    if len({other[3] for other in rivals if other[2] == name}) > 1:
        parts.append(detector or "no detector")
    return ", ".join(parts)
