"""Members of a stage that were trained apart, as jobs of their own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmrbdc.engine.stages.stage_setup import StageSetup
from mmrbdc.plan import Grow, PlanError, Protocol, Publish, Step, Train
from mmrbdc.runs.cost import Cost


def run_folder(setup: StageSetup, indices: Sequence[int]) -> Path:
    """Where a stage's run of these members keeps its logs and checkpoints."""
    if list(indices) == setup.members:
        return setup.folder
    return setup.folder / f"only_{'-'.join(map(str, indices))}"


def check_part(
    protocol: Protocol,
    stages: Sequence[StageSetup],
    stage: int | None,
    members: Sequence[int] | None,
) -> None:
    """Check what a job is asked to train.

    Args:
        protocol: that is trained.
        stages: of the protocol.
        stage: number of the stage, from 0; ``None`` for all.
        members: their numbers; ``None`` for all.

    Raises:
        PlanError: members without a stage, no such stage or member, or members of a method that
            needs to see all of a stage.
    """
    if stage is None:
        if members is not None:
            raise PlanError("--member needs --stage: members are numbered within their stage")
        return
    if not 0 <= stage < len(stages):
        raise PlanError(f"--stage {stage}: the protocol has stages 0 to {len(stages) - 1}")
    if members is not None and protocol.may_skip:
        raise PlanError(
            f"--member: method {protocol.method!r} decides by what a whole stage scores, which a "
            "job of some members does not measure; leave --member out"
        )
    setup = stages[stage]
    unknown = sorted(set(members or []) - set(setup.members))
    if unknown:
        raise PlanError(
            f"--member {unknown[0]}: {setup.row.name} has members 0 to {setup.row.members - 1}"
        )


def check_before(step: Step, setup: StageSetup, stage: int) -> None:
    """Check that a step of an earlier stage is finished, as far as the job's stage needs it.

    Args:
        step: of any stage.
        setup: its stage's.
        stage: the job's.

    Raises:
        PlanError: members are missing, and how to train them.
    """
    if not isinstance(step, Train) or step.stage >= stage:
        return
    if missing := [index for index in setup.missing() if index in step.members]:
        raise PlanError(
            f"--stage {stage}: {setup.row.name} is not finished, missing members: "
            f"{', '.join(map(str, missing))}; train them first (--stage {setup.index})"
        )


def part_of(step: Step, stage: int, members: Sequence[int] | None) -> Step | None:
    """What a job of one stage, or of some of its members, does of a step; ``None`` for nothing.

    A junction is scored by a job that has all of its stage's members.
    """
    if step.stage != stage or isinstance(step, Publish):
        return None
    if members is None:
        return step
    if isinstance(step, Train):
        own = tuple(i for i in step.members if i in members)
        return Train(stage, own) if own else None
    return step if isinstance(step, Grow) and step.child in members else None


def uncollected_curve(setup: StageSetup, flops_before: float) -> list[dict[str, Any]]:
    """The points of a stage whose members were trained apart, that its ``curve.json`` lacks.

    They are the iterations at which every member was validated. ``top1`` is the mean of the
    members' accuracies there, since nobody scored their ensemble.

    Args:
        setup: the stage.
        flops_before: training FLOPs of the stages before it.

    Returns:
        All points; none where the file has them, the stage ran in lockstep, or members were
        trained twice or not validated.
    """
    merged, path = _merged(setup, flops_before), setup.folder / "curve.json"
    return [] if path.is_file() and json.loads(path.read_text()) == merged else merged


def _merged(setup: StageSetup, flops_before: float) -> list[dict[str, Any]]:
    """The points of the whole stage; none where there is nothing to collect."""
    whole = Cost.read(setup.folder)
    curves = _curves(setup)
    if not curves or (whole is not None and whole.fingerprint == setup.hash):
        return []
    merged = []
    for iteration in sorted(set.intersection(*(set(curve) for _, curve in curves))):
        points = [(members, curve[iteration]) for members, curve in curves]
        scores = {
            index: score
            for members, point in points
            for index, score in zip(members, point["members"], strict=True)
        }
        merged.append(
            dict(
                epoch=points[0][1]["epoch"],
                iter=iteration,
                flops=flops_before + sum(point["flops"] - flops_before for _, point in points),
                top1=sum(scores.values()) / len(scores),
                members=[scores[index] for index in setup.members],
            )
        )
    return merged


def _curves(setup: StageSetup) -> list[tuple[tuple[int, ...], dict[int, dict[str, Any]]]]:
    """Members and points by iteration of each run apart; none unless they are the whole stage."""
    found = []
    for part in sorted(setup.folder.glob("only_*/curve.json")):
        cost = Cost.read(part.parent)
        if cost is not None and cost.fingerprint == setup.hash:
            points = json.loads(part.read_text())
            found.append((cost.members, {point["iter"]: point for point in points}))
    whole = sorted(index for members, _ in found for index in members) == setup.members
    return found if whole else []
