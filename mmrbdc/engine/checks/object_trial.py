"""Whether objects can be built from a config, before a run of hours comes to them."""

import copy
import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, PARAM_SCHEDULERS, DefaultScope
from mmengine.runner import Runner

from mmrbdc.config_errors import told_as_config_error
from mmrbdc.datasets.configs import LOADERS
from mmrbdc.engine.cost.on_meta import build_on_meta


def try_stage(run: Config, member: Mapping[str, Any], iters_per_epoch: int) -> None:
    """Build what a stage trains and scores with; nothing is loaded, and nothing kept.

    Args:
        run: the stage's run config.
        member: model config of one member, which is built without memory for its weights.
        iters_per_epoch: iterations in one epoch.

    Raises:
        ConfigError: names the part of the config of which nothing can be built.
    """
    model = build_on_meta(member)
    with DefaultScope.overwrite_default_scope("mmpretrain"), _unheard():
        with told_as_config_error("optim_wrapper", run.optim_wrapper):
            wrapper = build_optim_wrapper(model, copy.deepcopy(run.optim_wrapper))
        for scheduler in copy.deepcopy(run.get("param_scheduler") or []):
            with told_as_config_error("param_scheduler", scheduler):
                length = (
                    dict(epoch_length=iters_per_epoch)
                    if scheduler.get("convert_to_iter_based")
                    else {}
                )
                PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=wrapper, **length))
        for split in LOADERS:
            evaluator = run.get(f"{split}_evaluator")
            if evaluator:
                with told_as_config_error(f"{split}_evaluator"):
                    Evaluator(copy.deepcopy(evaluator))
            loader = run.get(f"{split}_dataloader")
            if loader:
                with told_as_config_error(f"{split}_dataloader.dataset"):
                    _try_dataset(loader["dataset"])


def try_optimizer(runner: Runner) -> None:
    """Build optimizer and schedules of a runner that has not run; what it will use is left alone.

    Raises:
        ConfigError: names the part of the config of which nothing can be built.
    """
    kept = runner.optim_wrapper
    with _unheard():
        try:
            runner.optim_wrapper = runner.build_optim_wrapper(copy.deepcopy(kept))
            if runner.param_schedulers is not None:
                runner.build_param_scheduler(copy.deepcopy(runner.param_schedulers))
        finally:
            runner.optim_wrapper = kept


def _try_dataset(config: Mapping[str, Any]) -> None:
    """Build a data set without its samples, where its class can do that."""
    kind = config.get("type")
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    inner = config.get("dataset")
    if kind is None or "lazy_init" in _parameters(kind):
        DATASETS.build(dict(copy.deepcopy(config), lazy_init=True))
    elif isinstance(inner, Mapping):
        _try_dataset(inner)


def _parameters(kind: type) -> set[str]:
    """Names that a class's constructor takes, also by handing them on to its parents'."""
    names: set[str] = set()
    for owner in inspect.getmro(kind):
        if "__init__" in vars(owner):
            parameters = inspect.signature(vars(owner)["__init__"]).parameters.values()
            names |= {parameter.name for parameter in parameters}
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
                break
    return names


@contextmanager
def _unheard() -> Iterator[None]:
    """Leave what is logged meanwhile to the run itself, which logs it again."""
    logger = MMLogger.get_current_instance()

    def nothing(record: logging.LogRecord) -> bool:
        return record.levelno > logging.WARNING

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)
