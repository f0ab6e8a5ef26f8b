"""Learning-rate schedules of one recipe, fitted to stages of any length."""

import copy
from collections.abc import Sequence

from mmrbdc.config_parts import type_name
from mmrbdc.wording import counted

MAX_WARMUP_SHARE = 0.1
"""A warm-up takes at most this share of a stage."""

SHORTEST_WARMUP = 2
"""In iterations: MMEngine's LinearLR of one iteration never leaves its start."""

UNFITTED = ("OneCycle", "CosineRestart", "ReduceOnPlateau")
"""Beginnings of the names of schedulers whose shape has no one meaning at another length."""


def fit_schedulers(
    schedulers: Sequence[dict],
    recipe_epochs: float,
    stage_iters: int,
    iters_per_epoch: int,
    warmup_iters: int | None = None,
) -> list[dict]:
    """Fit ``param_scheduler`` of a recipe of ``recipe_epochs`` epochs to a stage of
    ``stage_iters`` iterations.

    A warm-up (a scheduler that begins at 0 and ends before the recipe does) keeps its length in
    epochs, up to a tenth of the stage, and is left out where that is less than two iterations,
    unless ``warmup_iters`` says how long it is; what follows it is stretched from the rest of the
    recipe to the rest of the stage. The result counts iterations, so a stage may be shorter than an
    epoch.

    Args:
        schedulers: MMEngine scheduler configs with boundaries in epochs (``by_epoch`` True or
            absent).
        recipe_epochs: the length they were written for.
        stage_iters: length of the stage, iterations.
        iters_per_epoch: iterations per epoch.
        warmup_iters: exact length of the stage's warm-up, 0 for none; default as above.

    Returns:
        Configs with boundaries in iterations and ``by_epoch=False``.

    Raises:
        ValueError: a scheduler that counts iterations already, one that cannot be stretched, a
            boundary beyond the recipe, or a ``warmup_iters`` that stage or recipe cannot have.
    """
    for scheduler in schedulers:
        name = type_name(scheduler)
        if name.startswith(UNFITTED):
            raise ValueError(
                f"param_scheduler {name!r} cannot be fitted to the length of a stage; use a "
                "warm-up and CosineAnnealingLR, MultiStepLR or another with begin and end"
            )
        if not scheduler.get("by_epoch", True):
            raise ValueError(
                f"param_scheduler {scheduler.get('type')!r} has by_epoch=False; write its "
                f"boundaries in epochs of "
                f"the recipe (train_cfg.max_epochs={recipe_epochs}), stages fit them to their own "
                f"length"
            )
    warmup = _warmup_epochs(schedulers, recipe_epochs)
    if warmup_iters is None:
        stage_warmup = usual_warmup(schedulers, recipe_epochs, stage_iters, iters_per_epoch)
    else:
        _check_warmup(warmup_iters, stage_iters, has_warmup=bool(warmup))
        stage_warmup = warmup_iters

    def fit(epoch: float) -> int:
        if epoch > recipe_epochs:
            raise ValueError(
                f"param_scheduler: boundary {epoch} lies beyond the recipe's {recipe_epochs} "
                f"epochs "
                "(train_cfg.max_epochs)"
            )
        if epoch <= warmup:
            return round(stage_warmup * epoch / warmup) if warmup else 0
        rest = (epoch - warmup) / (recipe_epochs - warmup)
        return stage_warmup + round(rest * (stage_iters - stage_warmup))

    fitted = []
    for original in schedulers:
        scheduler = copy.deepcopy(dict(original))
        scheduler.pop("convert_to_iter_based", None)
        begin = original.get("begin", 0)
        scheduler["by_epoch"] = False
        scheduler["begin"] = fit(begin)
        scheduler["end"] = fit(original.get("end", recipe_epochs))
        if "T_max" in original:
            scheduler["T_max"] = fit(begin + original["T_max"]) - scheduler["begin"]
        if "milestones" in original:
            after = [fit(begin + m) - scheduler["begin"] for m in original["milestones"]]
            scheduler["milestones"] = [max(1, m) for m in after]
        if "step_size" in original:
            scheduler["step_size"] = max(1, fit(begin + original["step_size"]) - scheduler["begin"])
        if type_name(original).startswith("Exponential"):
            epochs = original.get("end", recipe_epochs) - begin
            iters = max(1, scheduler["end"] - scheduler["begin"])
            scheduler["gamma"] = original["gamma"] ** (epochs / iters)
        if scheduler["end"] > scheduler["begin"]:
            fitted.append(scheduler)
    return fitted


def usual_warmup(
    schedulers: Sequence[dict], recipe_epochs: float, stage_iters: int, iters_per_epoch: int
) -> int:
    """Iterations of a stage's warm-up where nobody says another length; 0 for none.

    Args:
        schedulers: as of :func:`fit_schedulers`.
        recipe_epochs: the length they were written for.
        stage_iters: length of the stage, iterations.
        iters_per_epoch: iterations an epoch.
    """
    warmup = _warmup_epochs(schedulers, recipe_epochs)
    iters = round(min(warmup * iters_per_epoch, MAX_WARMUP_SHARE * stage_iters))
    return iters if iters >= SHORTEST_WARMUP else 0


def _warmup_epochs(schedulers: Sequence[dict], recipe_epochs: float) -> float:
    warmups = [
        s["end"]
        for s in schedulers
        if s.get("begin", 0) == 0 and 0 < s.get("end", recipe_epochs) < recipe_epochs
    ]
    return max(warmups, default=0)


def _check_warmup(warmup_iters: int, stage_iters: int, *, has_warmup: bool) -> None:
    if warmup_iters < 0 or warmup_iters >= stage_iters:
        raise ValueError(
            f"a warm-up of {warmup_iters} iterations does not fit a stage of {stage_iters}; it "
            "must be at least 0 and shorter than the stage"
        )
    if 0 < warmup_iters < SHORTEST_WARMUP:
        raise ValueError(
            f"a warm-up of {counted(warmup_iters, 'iteration')} would hold its first rate for the "
            f"whole stage; choose 0 or at least {SHORTEST_WARMUP}"
        )
    if warmup_iters and not has_warmup:
        raise ValueError(
            f"a warm-up of {warmup_iters} iterations is asked for, but param_scheduler has none to "
            "give that length; add dict(type='LinearLR', start_factor=..., begin=0, end=...), and "
            "let what follows begin at its end"
        )
