"""A finished pretraining: plan, ledger, curves, junctions and scores, read from its work dir."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from mmrbdc.families import FAMILIES, FamilyError, architecture_from_dict
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.runs.junction import Junction, read_junction
from mmrbdc.runs.numerics import numerics_of
from mmrbdc.runs.records import Record, read_record, read_records
from mmrbdc.shipped import command

TRAINED_BY = command("train")
TESTED_BY = command("test")
_RELATIVE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class CurvePoint:
    """What one validation during a stage found.

    Attributes:
        flops: training FLOPs that the protocol had spent until then, all members of all stages.
        top1: accuracy in percent of the mean of the members' logits, or of the single model.
        members: accuracy of each member in percent; empty where a stage has one member.
    """

    flops: float
    top1: float
    members: tuple[float, ...]


@dataclass(frozen=True)
class StageRun:
    """One finished stage.

    Attributes:
        name: its folder.
        label: its models, for readers.
        members: how many models.
        width: channels of one model.
        epochs: its length.
        flops: training FLOPs of all its members.
        growth_flops: of these, what the operator spent by itself, as planned.
        curve: its validations, in order.
        junction: how its members were made; None for the first stage.
        img_size: pixels of a side of its images; None where the plan does not say it.
        blocks: of one model; None where the final model's file does not say how many it has.
        candidates: sub-nets that it searched among, as (blocks, pixels); empty for other stages.
    """

    name: str
    label: str
    members: int
    width: int
    epochs: float
    flops: float
    growth_flops: float
    curve: tuple[CurvePoint, ...]
    junction: Junction | None
    img_size: int | None = None
    blocks: int | None = None
    candidates: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class PretrainingRun:
    """One finished protocol; a model trained from scratch is a protocol of one stage.

    Attributes:
        path: its work dir.
        name: of the protocol and of its final files.
        method: ``rbdc``, ``scratch``, ...
        family: ``deit``, ``resnet``, ...
        seed: of the run.
        stages: in order.
        train_flops: spent by all members of all stages, one-off costs of an operator included.
        wall_s: seconds.
        top1: of the final model on ``split``, percent.
        val_top1: of the final model on the validation split, percent; None where it is not noted.
        split: what ``top1`` was measured on.
        numerics: value by name, :func:`mmrbdc.runs.numerics.numerics_of`; empty where an earlier
            version's ``plan.json`` does not say them.
    """

    path: Path
    name: str
    method: str
    family: str
    seed: int | None
    stages: tuple[StageRun, ...]
    train_flops: float
    wall_s: float
    top1: float
    val_top1: float | None
    split: str
    numerics: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def searches(self) -> bool:
        """Whether what it found on the way decided its stages."""
        return any(stage.candidates for stage in self.stages)

    @property
    def trained(self) -> tuple[StageRun, ...]:
        """The stages that were no searches."""
        return tuple(stage for stage in self.stages if not stage.candidates)

    @property
    def progression(self) -> tuple[tuple[int | None, int | None], ...]:
        """Blocks and pixels of the stages that were no searches."""
        return tuple((stage.blocks, stage.img_size) for stage in self.trained)

    @property
    def grows(self) -> bool:
        """Whether its stages differ in depth or image size, or searches might have made them."""
        return self.searches or len({*self.progression}) > 1

    @classmethod
    def read(cls, path: Path) -> "PretrainingRun":
        """Read a work dir that ``tools/train.py`` finished and ``tools/test.py`` scored.

        Needs ``plan.json``, ``ledger.json``, ``test.json``, the side-car ``NAME.json`` of the final
        model, and ``curve.json`` (after the first stage ``junction.json`` too) of every stage.

        Raises:
            AnalysisError: a file is missing or odd, or two files contradict each other.
        """
        plan = read_record(path / "plan.json", TRAINED_BY)
        ledger = read_record(path / "ledger.json", TRAINED_BY)
        name = plan.text("name")
        side_car = read_record(path / f"{name}.json", TRAINED_BY)
        test = read_record(path / "test.json", TESTED_BY)
        for key in ("name", "method", "family"):
            if plan.text(key) != side_car.text(key):
                raise side_car.error(
                    f"'{key}' is {side_car.text(key)!r} here and {plan.text(key)!r} in "
                    f"{plan.where}; the two are of different runs, train again"
                )
        train_flops = ledger.number("total_flops")
        _check_equal_flops(side_car, "train_flops", train_flops, ledger.where)
        spent = ledger.records("stages")
        return cls(
            path=path,
            name=name,
            method=plan.text("method"),
            family=plan.text("family"),
            seed=side_car.integer("seed") if side_car.has("seed") else None,
            stages=_read_stages(path, plan, spent, _num_blocks(side_car)),
            train_flops=train_flops,
            wall_s=sum(stage.number("wall_s") for stage in spent),
            top1=test.number("top1", 0, 100),
            val_top1=val_top1(side_car),
            split=test.text("split"),
            numerics=_numerics(plan),
        )


def _numerics(plan: Record) -> dict[str, str]:
    if not plan.has("fingerprints"):
        return {}
    return numerics_of([stage.fields for stage in plan.records("fingerprints")])


def val_top1(meta: Record) -> float | None:
    """Return the validation accuracy in a checkpoint's meta, percent; None where there is none."""
    if not meta.has("accuracy"):
        return None
    accuracy = meta.record("accuracy")
    return accuracy.number("val/top1", 0, 100) if accuracy.has("val/top1") else None


def _num_blocks(meta: Record) -> int | None:
    """Blocks of the model of a checkpoint's meta; None where it says none, or another's family."""
    if not meta.has("architecture"):
        return None
    architecture = meta.record("architecture")
    if architecture.value("family") not in FAMILIES:
        return None
    try:
        return architecture_from_dict(meta.value("architecture")).layout().num_blocks
    except FamilyError as error:
        raise meta.error(f"'architecture' cannot be read: {error}") from None


def _read_stages(
    path: Path, plan: Record, spent: list[Record], num_blocks: int | None
) -> tuple[StageRun, ...]:
    planned = plan.records("stages")
    spent = [stage for stage in spent if stage.integer("samples")]  # or it was only grown
    in_ledger = [stage.text("name") for stage in spent]
    planned = [
        stage
        for stage in planned
        if stage.value("may_skip") is not True or stage.text("name") in in_ledger
    ]
    names = [stage.text("name") for stage in planned]
    if names != in_ledger:
        raise AnalysisError(
            f"{path / 'ledger.json'} has the stages {', '.join(in_ledger)}, {path / 'plan.json'} "
            f"has {', '.join(names)}; finish the run with {TRAINED_BY} ... --resume"
        )
    stages: list[StageRun] = []
    for row, paid in zip(planned, spent, strict=True):
        members = row.integer("members", 1)
        stages.append(
            StageRun(
                name=row.text("name"),
                label=row.text("label"),
                members=members,
                width=row.integer("width", 1),
                epochs=row.number("epochs"),
                flops=paid.number("flops"),
                growth_flops=row.number("growth_flops", 0) if row.has("growth_flops") else 0.0,
                curve=_read_curve(path / row.text("name") / "curve.json", members),
                junction=_read_junction(path, plan, row, stages),
                img_size=row.integers("img_size")[0] if row.value("img_size") else None,
                blocks=_blocks(row, num_blocks),
                candidates=_candidates(row),
            )
        )
    return tuple(stages)


def _read_junction(
    path: Path, plan: Record, row: Record, before: list[StageRun]
) -> Junction | None:
    if not before:
        return None
    return read_junction(
        path / row.text("name") / "junction.json",
        TRAINED_BY,
        row.integer("members", 1),
        _num_parents(plan, row, before),
    )


def _read_curve(path: Path, members: int) -> tuple[CurvePoint, ...]:
    points: list[CurvePoint] = []
    for entry in read_records(path, TRAINED_BY):
        scores = entry.numbers("members", 0, 100) if members > 1 else ()
        if members > 1 and len(scores) != members:
            raise entry.error(
                f"'members' has {len(scores)} values, the stage has {members} members"
            )
        point = CurvePoint(entry.number("flops"), entry.number("top1", 0, 100), scores)
        if points and point.flops <= points[-1].flops:
            raise entry.error(
                f"'flops' is {point.flops:g} after {points[-1].flops:g}; a curve only goes forward"
            )
        points.append(point)
    return tuple(points)


def _blocks(row: Record, of_target: int | None) -> int | None:
    if of_target is None:
        return None
    return round(of_target * Fraction(row.text("depth") if row.has("depth") else "1"))


def _candidates(row: Record) -> tuple[tuple[int, int], ...]:
    if not row.has("searching"):
        return ()
    return tuple((int(blocks), int(pixels)) for blocks, pixels in row.value("searching"))


def stages_in_common(runs: Sequence[PretrainingRun]) -> list[tuple[StageRun, ...]]:
    """The stages that all runs of one protocol have taken, in order, each with one entry per run.

    Runs of a method that searches may leave out different ones.
    """
    by_name = [{stage.name: stage for stage in run.stages} for run in runs]
    return [
        tuple(stages[name] for stages in by_name)
        for name in by_name[0]
        if all(name in stages for stages in by_name)
    ]


def _num_parents(plan: Record, row: Record, before: list[StageRun]) -> tuple[int, ...]:
    """How many parents a stage's junction has in all.

    The plan's steps say it, and may say several. Files of earlier versions have no steps: every
    member of the stage before had one child then.
    """
    if not plan.has("steps"):
        return (before[-1].members,)
    number = [stage.text("name") for stage in plan.records("stages")].index(row.text("name"))
    grown = [
        (step.integers("members"), len(step.value("parents") or ()))
        for step in plan.records("steps")
        if step.text("step") == "grow" and step.integer("stage") == number
    ]
    of_each = [
        {count for child, count in grown if child == (i,)} for i in range(row.integer("members", 1))
    ]
    return tuple(sorted({sum(counts) for counts in itertools.product(*of_each)}))


def _check_equal_flops(record: Record, field: str, flops: float, where: str) -> None:
    own = record.number(field)
    if abs(own - flops) > _RELATIVE_TOLERANCE * max(own, flops):
        raise record.error(
            f"'{field}' is {own:g} here and {flops:g} in {where}; the two are of different runs, "
            "train again"
        )
