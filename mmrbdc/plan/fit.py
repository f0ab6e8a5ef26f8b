"""How long the stages are that a method makes itself, so that the run spends what it may."""

from collections.abc import Sequence
from dataclasses import replace

from mmrbdc.plan.errors import PlanError
from mmrbdc.plan.feed import Feed
from mmrbdc.plan.progression import LOOK_BACK, Progression
from mmrbdc.plan.solve import solve_lengths
from mmrbdc.plan.stage_model import StageModel, flops_in, stage_iters
from mmrbdc.plan.stages import Protocol, Stage, with_epochs
from mmrbdc.search.grid import begins


def fitted(
    protocol: Protocol, models: Sequence[StageModel], feed: Feed, reference: StageModel
) -> Protocol:
    """Copy a protocol of a method that makes its stages, their lengths set; others as they are.

    By epochs, the reference's are shared out equally. By a budget, stages of known price are
    equally long. Where searches decide what a stage costs, the stages of the grid but the last are
    as long as the budget would allow to all of them at the target's price, searches and judging
    included; the last one, whose price is known by then, takes what is left.

    Args:
        protocol: its stages in the order of the grid, each search in front of its stage.
        models: one member of each stage, in order.
        feed: the data arithmetic.
        reference: the target as training from scratch would see it.

    Raises:
        PlanError: a search that is not shorter than its stage, or a budget that is too small.
    """
    if protocol.progression is None:
        return protocol
    if protocol.progression.lengths == "epochs":
        return _by_epochs(protocol, protocol.progression, feed)
    budget = protocol.progression.budget
    assert budget is not None
    scratch = reference.train_flops_per_sample * feed.samples_in(
        feed.iters(protocol.reference_epochs)
    )
    if not protocol.progression.search_epochs:
        lengths = solve_lengths(
            protocol,
            models,
            samples=feed.samples,
            batch_size=feed.batch_size,
            drop_last=feed.drop_last,
            reference_model=reference,
            budget=budget,
            ratio=1.0,
        )
        equal = with_epochs(protocol, lengths)
        stages = tuple(
            replace(stage, epochs=None, iters=stage_iters(stage, feed)) for stage in equal.stages
        )
        return _noted(protocol, stages, None, sum(stage.iters or 0 for stage in stages))
    return _searching(protocol, protocol.progression, models, feed, reference, budget * scratch)


def _by_epochs(protocol: Protocol, progression: Progression, feed: Feed) -> Protocol:
    epochs, count = protocol.reference_epochs, progression.stages
    whole = feed.iters(epochs)
    if float(epochs).is_integer() and epochs >= count:
        first = [feed.iters_per_epoch * one for one in begins(int(epochs), count)]
    else:
        first = [whole * i // count for i in range(count)]
    lengths = [b - a for a, b in zip(first, [*first[1:], whole], strict=True)]
    return _noted(protocol, _shared_out(protocol.stages, lengths, feed), whole, whole)


def _searching(
    protocol: Protocol,
    progression: Progression,
    models: Sequence[StageModel],
    feed: Feed,
    reference: StageModel,
    limit: float,
) -> Protocol:
    count = progression.stages
    judging = (count - 1) * _most_judging(progression, feed, reference)
    dearest = reference.train_flops_per_sample
    iters = feed.iters_within((limit - judging) / count // dearest)
    search = feed.iters(progression.search_epochs)
    if iters <= search:
        raise PlanError(
            f"a budget of {progression.budget:g} is {limit:.3g} FLOPs: were every search to choose "
            f"the whole model, each of {count} stages would have {iters} iterations, beside "
            f"{judging:.3g} FLOPs of judging, and a search alone takes {search}; raise the budget, "
            "or lower progression.search_epochs, .batches or .stages"
        )
    stages = _shared_out(protocol.stages, [iters] * count, feed)
    spent = sum(
        flops_in(stage, model, feed, stage_iters(stage, feed))
        for stage, model in zip(stages[:-1], models[:-1], strict=True)
        if not stage.skipped
    )
    last = feed.iters_within((limit - spent) // models[-1].train_flops_per_sample)
    stages = (*stages[:-1], replace(stages[-1], iters=last))
    return _noted(protocol, stages, limit, iters * count)


def _shared_out(stages: Sequence[Stage], lengths: Sequence[int], feed: Feed) -> tuple[Stage, ...]:
    """The stages, each of the grid with its iterations; what its search takes is part of them."""
    found: list[Stage] = []
    waiting = list(lengths)
    searched = 0
    for stage in stages:
        if stage.search is not None:
            own = stage_iters(stage, feed)
            searched = 0 if stage.skipped else own
            found.append(replace(stage, epochs=None, iters=own))
            continue
        iters = waiting.pop(0) - searched
        if iters < 1:
            raise PlanError(
                f"a search of {searched} iterations is not shorter than its stage, which has "
                f"{iters + searched}; lower protocol.progression.search_epochs, or train longer"
            )
        found.append(replace(stage, epochs=None, iters=iters))
        searched = 0
    return tuple(found)


def _noted(
    protocol: Protocol, stages: tuple[Stage, ...], limit: float | None, iters: int
) -> Protocol:
    """The protocol with what its schedule counts to, and its moving average fitted to the run."""
    assert protocol.progression is not None
    average = None
    if protocol.progression.search_epochs or protocol.progression.mogrow != "off":
        average = 1 - 1 / max(2.0, LOOK_BACK * iters)
    return replace(protocol, stages=stages, limit=limit, average=average)


def _most_judging(progression: Progression, feed: Feed, reference: StageModel) -> int:
    """What judging could take at most in one stage: nine candidates, each as dear as the target."""
    images = feed.samples_of(progression.batches)
    return 9 * progression.evaluations * images * reference.forward_flops
