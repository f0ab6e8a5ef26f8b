"""What a staged config must have, checked before anything runs."""

import itertools

from mmengine.config import Config

from mmrbdc.config_parts import as_list, class_name
from mmrbdc.engine.checks.first_step import check_topk
from mmrbdc.engine.checks.loop_parts import check_loops
from mmrbdc.engine.checks.metric_trial import check_metrics
from mmrbdc.engine.checks.settings import check_settings
from mmrbdc.engine.checks.target import check_target, layouts
from mmrbdc.engine.inputs.plain_data import plain_training_set
from mmrbdc.families import Architecture
from mmrbdc.growth import get_operator
from mmrbdc.plan import PlanError, Protocol


def check_staged(cfg: Config, protocol: Protocol) -> None:
    """Check a staged config beyond its stages.

    Raises:
        ConfigError, PlanError, GrowthError, ValueError: what is wrong with it.
    """
    check_settings(cfg)
    check_loops(cfg, splits=("val",))
    _check_evaluator(cfg)
    check_topk(cfg, "val", "test")
    check_metrics(cfg, "val", "test")
    _check_checkpoint_hook(cfg)
    architecture = check_target(cfg, protocol)
    if _needs_images(architecture, protocol):
        plain_training_set(cfg)


def _needs_images(target: Architecture, protocol: Protocol) -> bool:
    if any(stage.search for stage in protocol.stages):
        return True
    for name, pair in zip(protocol.operators, itertools.pairwise(protocol.stages), strict=True):
        work = get_operator(name).work
        parent, child = layouts(target, *pair)
        if work is not None and work(child, parent.sizes, 1):
            return True
    return False


def _check_evaluator(cfg: Config) -> None:
    metrics = as_list(cfg.get("val_evaluator"))
    kinds = [class_name(metric["type"]) for metric in metrics]
    if metrics and "Accuracy" not in kinds:
        raise PlanError(
            f"val_evaluator is {', '.join(kinds)}; junctions and curves need top-1 accuracy: add "
            "dict(type='Accuracy', topk=(1,))"
        )


def _check_checkpoint_hook(cfg: Config) -> None:
    kind = (cfg.get("default_hooks", {}).get("checkpoint") or {}).get("type")
    if kind != "mmrbdc.CheckpointHook":
        raise PlanError(
            f"default_hooks.checkpoint is {kind!r}; a stage is saved and resumed through "
            "dict(type='mmrbdc.CheckpointHook', interval=1)"
        )
