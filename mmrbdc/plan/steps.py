"""The steps of a protocol: what each does, to which members, and what it leaves for its method.

A method yields them; the runner of a protocol runs each once. A member is named by its stage and
its number there.
"""

from dataclasses import dataclass
from typing import Any

from mmrbdc.search import SubNet


@dataclass(frozen=True)
class Member:
    """One model of a protocol.

    Attributes:
        stage: number of its stage, from 0.
        index: its number in the stage, from 0.
    """

    stage: int
    index: int


@dataclass(frozen=True)
class Grow:
    """Grow one member of a stage, into a file.

    Attributes:
        stage: the child's stage.
        child: its number in the stage.
        parents: in the order in which they are placed; all of one earlier stage.
        operator: name of the growth operator.
        options: of an operator that makes each child otherwise, as (name, whole number).
    """

    stage: int
    child: int
    parents: tuple[Member, ...]
    operator: str
    options: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Score:
    """Score a junction: a stage's members before their first step, and their parents.

    Attributes:
        stage: the children's stage.
        parents: of each child.
    """

    stage: int
    parents: tuple[tuple[Member, ...], ...]


@dataclass(frozen=True)
class Train:
    """Train members of a stage in lockstep.

    Attributes:
        stage: their stage.
        members: their numbers in the stage.
    """

    stage: int
    members: tuple[int, ...]


@dataclass(frozen=True)
class Publish:
    """Publish a trained member as the protocol's final model.

    Attributes:
        stage: its stage.
        member: its number in the stage.
    """

    stage: int
    member: int = 0


Step = Grow | Score | Train | Publish


@dataclass(frozen=True)
class Outcome:
    """What a finished step says to its method.

    Attributes:
        flops: training FLOPs that it spent.
        top1: validation accuracy in percent: of the children before their first step, or of the
            members after their last; ``None`` where it was not measured, empty for other steps.
        chosen: what a searching stage has found; ``None`` for other steps.
    """

    flops: float = 0.0
    top1: tuple[float | None, ...] = ()
    chosen: SubNet | None = None


def step_record(step: Step, flops: int) -> dict[str, Any]:
    """A step with its price in plain JSON types."""
    if isinstance(step, Train):
        members = list(step.members)
    elif isinstance(step, Score):
        members = list(range(len(step.parents)))
    else:
        members = [step.child if isinstance(step, Grow) else step.member]
    kind = type(step).__name__.lower()
    record = dict[str, Any](step=kind, stage=step.stage, members=members, flops=flops)
    if isinstance(step, Grow):
        record["parents"] = [[parent.stage, parent.index] for parent in step.parents]
        record["operator"] = step.operator
        if step.options:
            record["options"] = dict(step.options)
    return record
