"""Members of a stage that were trained apart, as jobs of their own."""

import json
from collections.abc import Sequence
from pathlib import Path

from mmrbdc.engine.stages.stage_setup import StageSetup
from mmrbdc.plan import PlanError
from mmrbdc.weights import write_json


def run_folder(setup: StageSetup, indices: Sequence[int]) -> Path:
    """Where a stage's run of these members keeps its logs and checkpoints."""
    if list(indices) == setup.members:
        return setup.folder
    return setup.folder / f"only_{'-'.join(map(str, indices))}"


def chosen_members(
    stages: Sequence[StageSetup], stage: int, members: Sequence[int] | None
) -> list[int]:
    """The members of one stage that a job is asked to train.

    Args:
        stages: of the protocol.
        stage: number of the stage, from 0.
        members: their numbers; ``None`` for all.

    Returns:
        Those that are not finished yet.

    Raises:
        PlanError: no such stage or member, or the stage before is not finished.
    """
    if not 0 <= stage < len(stages):
        raise PlanError(f"--stage {stage}: the protocol has stages 0 to {len(stages) - 1}")
    setup = stages[stage]
    unknown = sorted(set(members or []) - set(setup.members))
    if unknown:
        raise PlanError(
            f"--member {unknown[0]}: {setup.row.name} has members 0 to {setup.row.members - 1}"
        )
    for before in stages[:stage]:
        missing = before.missing()
        if missing:
            raise PlanError(
                f"--stage {stage}: {before.row.name} is not finished, missing members: "
                f"{', '.join(map(str, missing))}; train them first (--stage "
                f"{before.index})"
            )
    missing = setup.missing()
    return missing if members is None else [index for index in missing if index in members]


def merge_curves(setup: StageSetup, flops_before: float) -> None:
    """Write the stage's ``curve.json`` from those of members that were trained apart.

    Its points are the iterations at which every member was validated. ``top1`` is the mean of the
    members' accuracies there, since nobody scored their ensemble. Does nothing where the stage ran
    in lockstep, or where members were trained twice or not validated.

    Args:
        setup: a finished stage.
        flops_before: training FLOPs of the stages before it.
    """
    path = setup.folder / "curve.json"
    parts = sorted(setup.folder.glob("only_*/curve.json"))
    if path.is_file() or not parts:
        return
    curves = [
        (
            json.loads((part.parent / "stage.json").read_text())["members"],
            {point["iter"]: point for point in json.loads(part.read_text())},
        )
        for part in parts
        if (part.parent / "stage.json").is_file()
    ]
    if sorted(index for members, _ in curves for index in members) != setup.members:
        return
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
    write_json(path, merged)
