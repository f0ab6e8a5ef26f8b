"""What runs a step that a method asks for."""

from collections.abc import Mapping
from typing import Any

from mmrbdc.engine.steps.grow import GrowStep
from mmrbdc.engine.steps.protocol_run import ProtocolRun
from mmrbdc.engine.steps.publish import PublishStep
from mmrbdc.engine.steps.score import ScoreStep
from mmrbdc.engine.steps.step import RunnableStep
from mmrbdc.engine.steps.train import TrainStep
from mmrbdc.plan import Grow, Member, Outcome, PlanError, Publish, Score, Step, Train

KINDS: dict[type, type[RunnableStep[Any]]] = {
    Grow: GrowStep,
    Score: ScoreStep,
    Train: TrainStep,
    Publish: PublishStep,
}


def make_step(run: ProtocolRun, step: Step, outcomes: Mapping[Step, Outcome]) -> RunnableStep[Any]:
    """Return what runs a step.

    Args:
        run: of the protocol.
        step: what its method asks for.
        outcomes: of the steps that are finished.

    Raises:
        PlanError: a method that asks for a step that no one can run: of an unknown kind, of a stage
            or member that is not there, one that is finished, or one that needs members which no
            finished step has trained.
    """

    def refused(why: str) -> PlanError:
        return PlanError(
            f"method {run.protocol.method!r} asks for {step}, {why}; mend its next_step"
        )

    if type(step) not in KINDS:
        known = ", ".join(kind.__name__ for kind in KINDS)
        raise refused(f"which is no step: known are {known}")
    if step in outcomes:
        raise refused("which is finished")
    grown = {Member(one.stage, one.child) for one in outcomes if isinstance(one, Grow)}
    if isinstance(step, Grow):
        if Member(step.stage, step.child) in grown:
            raise refused("which is grown; a child is grown once, another one is another member")
        if len({p.stage for p in step.parents}) != 1 or step.parents[0].stage >= step.stage:
            raise refused("whose parents are not all of one earlier stage")
    if isinstance(step, Score):
        if any(isinstance(one, Score) and one.stage == step.stage for one in outcomes):
            raise refused("whose junction is scored; it is scored once")
        if not 0 <= step.stage < len(run.stages) or not all(step.parents):
            raise refused("without parents for every child")
        if len(step.parents) != run.stages[step.stage].row.members:
            raise refused("which has other children than the stage has members")
    for member in [*_made(step), *_needed(step)]:
        if not 0 <= member.stage < len(run.stages):
            raise refused(f"but the protocol has stages 0 to {len(run.stages) - 1}")
        if not 0 <= member.index < run.stages[member.stage].row.members:
            count = run.stages[member.stage].row.members
            raise refused(f"but stages[{member.stage}] has members 0 to {count - 1}")
    trained = {
        Member(one.stage, i) for one in outcomes if isinstance(one, Train) for i in one.members
    }
    if missing := [member for member in _needed(step) if member not in trained]:
        raise refused(
            f"but no step before it trains member {missing[0].index} of stages[{missing[0].stage}]"
        )
    begun = _made(step) if step.stage and isinstance(step, Score | Train) else []
    if wanted := [member for member in begun if member not in grown]:
        raise refused(
            f"but no step before it grows member {wanted[0].index} of stages[{step.stage}]"
        )
    return KINDS[type(step)](run, step)


def _made(step: Step) -> list[Member]:
    """The members that a step grows, scores, trains or publishes."""
    if isinstance(step, Train):
        return [Member(step.stage, i) for i in step.members]
    if isinstance(step, Score):
        return [Member(step.stage, i) for i in range(len(step.parents))]
    return [Member(step.stage, step.child if isinstance(step, Grow) else step.member)]


def _needed(step: Step) -> list[Member]:
    """The trained members that a step reads."""
    if isinstance(step, Grow):
        return list(step.parents)
    if isinstance(step, Score):
        return [member for group in step.parents for member in group]
    return [Member(step.stage, step.member)] if isinstance(step, Publish) else []
