"""How long each stage may be so that the whole protocol fits a budget."""

import math
from collections.abc import Sequence

from mmrbdc.plan.errors import PlanError
from mmrbdc.plan.feed import Feed
from mmrbdc.plan.stage_model import StageModel, flops_in
from mmrbdc.plan.stages import Protocol, Stage

DEFAULT_RATIO = 1.5
"""Narrow over wide epochs, from the lower end of the range that the paper calls optimal."""

_BISECTIONS = 64


def solve_lengths(
    protocol: Protocol,
    stage_models: Sequence[StageModel],
    *,
    samples: int,
    batch_size: int,
    drop_last: bool = False,
    reference_model: StageModel,
    budget: float,
    ratio: float | Sequence[float] = DEFAULT_RATIO,
) -> list[float]:
    """Find the epochs per stage that spend ``budget`` and never more.

    The solution is one of whole iterations; what is left over costs less than one iteration of the
    cheapest stage.

    Args:
        protocol: stages and reference; the lengths of its stages do not matter.
        stage_models: one member of each stage, in order.
        samples: samples in one epoch, over all processes.
        batch_size: samples in one iteration, over all processes.
        drop_last: whether the loader leaves out an incomplete last batch.
        reference_model: the target as training from scratch would see it.
        budget: share of the FLOPs of training the target from scratch, such as 0.7.
        ratio: epochs of a stage over epochs of the next, wider one; or the relative lengths of all
            stages, such as ``(3, 1, 1)``.

    Returns:
        Epochs per stage, with as few decimals as still name the exact iteration.

    Raises:
        PlanError: budget or ratio is not above 0, there are not as many relative lengths as stages,
            or a stage would get no iteration.
    """
    given = [ratio] if isinstance(ratio, int | float) else list(ratio)
    for name, value in (("budget", budget), *(("ratio", value) for value in given)):
        if not math.isfinite(value) or value <= 0:
            raise PlanError(f"{name} is {value}; it must be a number above 0")
    feed = Feed(samples, batch_size, drop_last)
    stages = list(zip(protocol.stages, stage_models, strict=True))
    relative = _relative(ratio, len(stages))
    scratch_iters = feed.iters(protocol.reference_epochs)
    limit = budget * reference_model.train_flops_per_sample * feed.samples_in(scratch_iters)

    fixed = sum(stage.members * model.growth_flops for stage, model in stages)
    if fixed >= limit:
        raise PlanError(
            f"growing alone costs {fixed:.3g} FLOPs, but a budget of {budget:g} is {limit:.3g}; "
            "raise the budget, or choose an operator that grows without data"
        )

    def lengths(last: float) -> list[int]:
        return [int(last * length) for length in relative]

    def affordable(iters: Sequence[int]) -> bool:
        return _total(stages, feed, iters) <= limit

    low, high = 0.0, 1.0
    while affordable(lengths(high)):
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if affordable(lengths(middle)) else (low, middle)
    iters = lengths(low)
    if 0 in iters:
        index = iters.index(0)
        raise PlanError(
            f"a budget of {budget:g} at ratio {ratio_words(ratio)} leaves stages[{index}] without "
            "an iteration; raise the budget, or plan fewer stages"
        )
    for i in reversed(range(len(iters))):
        while affordable([*iters[:i], iters[i] + 1, *iters[i + 1 :]]):
            iters[i] += 1
    return [_epochs(length, feed) for length in iters]


def ratio_words(ratio: float | Sequence[float]) -> str:
    """A ratio, or the relative lengths of all stages, as a command line has it."""
    return f"{ratio:g}" if isinstance(ratio, int | float) else ":".join(f"{r:g}" for r in ratio)


def _relative(ratio: float | Sequence[float], count: int) -> list[float]:
    """Length of each stage over that of the last."""
    if isinstance(ratio, int | float):
        return [ratio ** (count - 1 - i) for i in range(count)]
    if len(ratio) != count:
        raise PlanError(
            f"ratio {ratio_words(ratio)} has {len(ratio)} relative lengths for {count} stages; "
            "give one per stage, or one number: epochs of a stage over those of the next"
        )
    return [length / ratio[-1] for length in ratio]


def _total(stages: Sequence[tuple[Stage, StageModel]], feed: Feed, iters: Sequence[int]) -> int:
    return sum(
        flops_in(stage, model, feed, length)
        for (stage, model), length in zip(stages, iters, strict=True)
    )


def _epochs(iters: int, feed: Feed) -> float:
    """The shortest decimal that :meth:`Feed.iters` takes back to ``iters``."""
    decimals = 0
    while True:
        epochs = round(iters / feed.iters_per_epoch, decimals)
        if epochs > 0 and feed.iters(epochs) == iters:
            return epochs
        decimals += 1
