"""The ``train_cfg`` of a staged config: what a stage follows of it, and what it refuses."""

from collections.abc import Mapping
from typing import Any

from mmrbdc.config_parts import class_name
from mmrbdc.plan import PlanError
from mmrbdc.plan.values import check_keys, count, not_negative, positive

LOOP = "mmrbdc.StageLoop"
_LIKE = "EpochBasedTrainLoop"
_KEYS = ("type", "by_epoch", "max_epochs", "val_begin", "val_interval")
_CHECKS = {"max_epochs": positive, "val_begin": not_negative, "val_interval": count}
_LENGTH = "train_cfg.max_epochs, the length that param_scheduler is written for"


def check_train_cfg(train_cfg: Mapping[str, Any]) -> None:
    """Refuse what a stage would not do.

    Args:
        train_cfg: the recipe's, a stage's overrides merged.

    Raises:
        PlanError: a loop of another kind, a length in iterations, intervals that change, a key
            that no loop has, or a value that is none.
    """
    kind = train_cfg.get("type")
    if kind is not None and class_name(kind) != _LIKE:
        raise PlanError(
            f"train_cfg.type is {class_name(kind)!r}, but stages are trained by {LOOP}, in epochs "
            f"as {_LIKE} counts them; leave train_cfg.type out"
        )
    if not train_cfg.get("by_epoch", True):
        raise PlanError(
            "train_cfg.by_epoch=False, but stages are counted and validated in epochs; leave "
            f"by_epoch out and give {_LENGTH}"
        )
    if train_cfg.get("max_iters") is not None:
        raise PlanError(
            f"train_cfg.max_iters={train_cfg['max_iters']!r}, but a stage is as long as its own "
            f"epochs or iters say; leave max_iters out and give {_LENGTH}"
        )
    if train_cfg.get("dynamic_intervals") is not None:
        raise PlanError(
            f"train_cfg.dynamic_intervals={train_cfg['dynamic_intervals']!r}, but a stage keeps "
            "one interval; leave dynamic_intervals out, and give stages intervals of their own "
            "where they need them: stages.0.train_cfg.val_interval=..."
        )
    given = {key: value for key, value in train_cfg.items() if value is not None}
    check_keys(given, _KEYS, "train_cfg")
    for key, check in _CHECKS.items():
        if key in given:
            check(given[key], f"train_cfg.{key}")


def stage_loop(train_cfg: Mapping[str, Any], iters: int) -> dict[str, Any]:
    """The ``train_cfg`` of a stage's run.

    Args:
        train_cfg: the staged config's, checked.
        iters: the stage's length.
    """
    return dict(
        type=LOOP,
        max_iters=iters,
        val_begin=_or_one(train_cfg.get("val_begin")),
        val_interval=_or_one(train_cfg.get("val_interval")),
    )


def _or_one(value: int | None) -> int:
    return 1 if value is None else value
