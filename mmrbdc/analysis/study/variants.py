"""Runs of one study: the same target and data, at several budgets, ratios and seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mmrbdc.analysis.compare.groups import Spread
from mmrbdc.analysis.reading.rows import method_order
from mmrbdc.analysis.study.saving import Point
from mmrbdc.methods.readers import is_from_scratch, method_label
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.runs.pretraining import TRAINED_BY, PretrainingRun
from mmrbdc.runs.records import Record, read_record

_SAME_FLOPS = 0.02
_SAME_RATIO = 0.03


@dataclass(frozen=True)
class Variant:
    """Runs that differ in their seed alone.

    Attributes:
        method: ``rbdc``, ``scratch``, ...
        name: of the protocol.
        label: method and number of steps, for readers.
        runs: sorted by seed.
        share: of the reference's training FLOPs.
    """

    method: str
    name: str
    label: str
    runs: tuple[PretrainingRun, ...]
    share: float

    @property
    def flops(self) -> float:
        """Training FLOPs of one run, all members of all stages."""
        return self.runs[0].train_flops

    @property
    def epochs(self) -> tuple[float, ...]:
        """Length of every stage."""
        return tuple(stage.epochs for stage in self.runs[0].stages)

    @property
    def ratio(self) -> float | None:
        """Epochs of a stage over epochs of the next, wider one (geometric mean over junctions);
        ``None`` without junctions, and where searches decide how long stages are.
        """
        if len(self.epochs) == 1 or self.runs[0].searches:
            return None
        return math.exp(_mean(math.log(narrow / wide) for narrow, wide in pairwise(self.epochs)))

    @property
    def top1(self) -> Spread:
        """Final accuracy over seeds, percent."""
        return Spread.of([run.top1 for run in self.runs])

    @property
    def point(self) -> Point:
        """What the saving is computed from."""
        return Point(self.flops, tuple(run.top1 for run in self.runs))


@dataclass(frozen=True)
class Study:
    """What a set of work dirs holds.

    Attributes:
        family: of every model.
        target: the model that is trained, for readers.
        reference_flops: of training it from scratch for the reference's length.
        split: that every run was scored on.
        variants: sorted by method, name, share of the FLOPs and ratio.
    """

    family: str
    target: str
    reference_flops: float
    split: str
    variants: tuple[Variant, ...]

    @property
    def scratch(self) -> tuple[Variant, ...]:
        """Scratch's budgets, rising."""
        return tuple(variant for variant in self.variants if is_from_scratch(variant.method))

    @property
    def grown(self) -> tuple[Variant, ...]:
        """Everything else."""
        return tuple(variant for variant in self.variants if not is_from_scratch(variant.method))


def read_study(work_dirs: Sequence[Path]) -> Study:
    """Read finished and tested runs that may be compared with each other.

    Args:
        work_dirs: work dirs of pretrainings, or folders with such work dirs below them.

    Raises:
        AnalysisError: no runs, a run is unfinished or odd, one is named twice, scratch has several
            protocols, or runs differ in family, data, batch, reference or test split.
    """
    if not work_dirs:
        raise AnalysisError("no work dirs to compare; name at least one")
    plans = {path.parent.resolve(): path.parent for top in work_dirs for path in _plans(top)}
    runs = [_read(path) for path in plans.values()]
    facts = {name: dict(_facts(run)) for name, run in ((run.path, run) for run in runs)}
    _check_alike(facts)
    variants = _variants(runs, next(iter(facts.values()))["reference FLOPs"])
    names = sorted({variant.name for variant in variants if is_from_scratch(variant.method)})
    if len(names) > 1:
        raise AnalysisError(
            f"runs from scratch of several protocols: {', '.join(names)}; name only one's work dirs"
        )
    first = facts[runs[0].path]
    return Study(
        family=runs[0].family,
        target=str(first["target"]),
        reference_flops=float(first["reference FLOPs"]),
        split=runs[0].split,
        variants=tuple(variants),
    )


def same_flops(one: float, other: float) -> bool:
    """Whether two budgets count as equal: within 2 %."""
    return abs(math.log(one / other)) < _SAME_FLOPS


def same_ratio(one: float, other: float) -> bool:
    """Whether two ratios count as equal: within 3 %, since stages have whole iterations."""
    return abs(math.log(one / other)) < _SAME_RATIO


def _plans(path: Path) -> list[Path]:
    if not path.is_dir():
        raise AnalysisError(f"{path} is not a folder; name the work dirs of finished runs")
    found = sorted(path.rglob("plan.json"))
    if not found:
        raise AnalysisError(f"{path} holds no run: no plan.json, which {TRAINED_BY} writes")
    return found


def _read(path: Path) -> PretrainingRun:
    name = read_record(path / "plan.json", TRAINED_BY).text("name")
    if not (path / f"{name}.json").exists():
        raise AnalysisError(
            f"{path}: the run is not finished (no {name}.json); finish it with {TRAINED_BY} ... "
            "--resume, or leave it out"
        )
    return PretrainingRun.read(path)


def _facts(run: PretrainingRun) -> Iterable[tuple[str, float | str]]:
    """What all runs of a study share, by the words that an error uses."""
    plan = read_record(run.path / "plan.json", TRAINED_BY)
    reference = plan.record("reference")
    yield "family", run.family
    yield "target", reference.text("label")
    yield "reference FLOPs", reference.number("flops", 1)
    yield "training samples per epoch", plan.integer("samples_per_epoch", 1)
    yield "batch size", plan.integer("batch_size", 1)
    yield "training data", _data(plan)
    yield "test split", run.split


def _data(plan: Record) -> str:
    dataset = plan.records("fingerprints")[-1].record("train_dataloader").record("dataset")
    while dataset.has("dataset"):
        dataset = dataset.record("dataset")
    named = [dataset.text(key) for key in ("data_root", "ann_file") if dataset.has(key)]
    return ", ".join(named) or "not named"


def _check_alike(facts: dict[Path, dict[str, float | str]]) -> None:
    (first, wanted), *others = facts.items()
    for path, found in others:
        for key, value in found.items():
            if value != wanted[key]:
                raise AnalysisError(
                    f"{first} and {path} cannot be compared, they differ in {key}: "
                    f"{_shown(wanted[key])} and {_shown(value)}; name the work dirs of one study"
                )


def _variants(runs: Sequence[PretrainingRun], reference_flops: float | str) -> list[Variant]:
    gathered: dict[tuple, dict[int | None, PretrainingRun]] = {}
    for run in runs:
        stages = tuple((stage.members, stage.width, stage.epochs) for stage in run.stages)
        if run.searches:  # which end with other stages for other seeds
            stages = _of_one_budget(run, gathered)
        seeds = gathered.setdefault((run.method, run.name, stages), {})
        if run.seed in seeds:
            raise AnalysisError(
                f"{seeds[run.seed].path} and {run.path} are both {run.name!r} with the same stages "
                f"and seed {run.seed}; name only one of them"
            )
        seeds[run.seed] = run
    names = {(method, len(stages), name) for method, name, stages in gathered}
    found = []
    for (method, name, stages), seeds in gathered.items():
        own = tuple(sorted(seeds.values(), key=lambda run: -1 if run.seed is None else run.seed))
        alone = sum(key[:2] == (method, len(stages)) for key in names) == 1
        label = method_label(method)
        if len(stages) > 1:
            label += f", {len(stages) - 1} step{'s' if len(stages) > 2 else ''}"
        label += "" if alone else f", {name}"
        share = own[0].train_flops / float(reference_flops)
        found.append(Variant(method, name, label, own, share))
    return sorted(
        found, key=lambda v: (*method_order(v.method), v.label, round(v.share, 2), v.ratio or 0.0)
    )


def _of_one_budget(
    run: PretrainingRun, gathered: Mapping[tuple, Mapping[int | None, PretrainingRun]]
) -> tuple[tuple[int, int, float], ...]:
    """What stands for the stages of runs that search: the FLOPs of the first at their budget."""
    for method, name, stages in gathered:
        if (method, name) == (run.method, run.name) and same_flops(stages[0][2], run.train_flops):
            return stages
    return ((1, run.stages[-1].width, run.train_flops),)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
