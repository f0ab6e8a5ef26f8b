"""What a staged config must have, checked before anything runs."""

import itertools
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmrbdc.engine.calibrate import plain_training_set
from mmrbdc.engine.first_step import check_topk
from mmrbdc.engine.joint_norm import set_norm_blend
from mmrbdc.engine.metric_trial import check_metrics
from mmrbdc.engine.model_cost import build_on_meta
from mmrbdc.families import Architecture, architecture_from_config
from mmrbdc.families.base import type_name
from mmrbdc.growth import Layout, check_streams, get_operator
from mmrbdc.plan import PlanError, Protocol, Stage


def check_staged(cfg: Config, protocol: Protocol) -> None:
    """Check a staged config beyond its stages.

    Raises:
        PlanError, GrowthError, ValueError: what is wrong with it.
    """
    _check_evaluator(cfg)
    check_topk(cfg, "val", "test")
    check_metrics(cfg, "val", "test")
    _check_checkpoint_hook(cfg)
    architecture = architecture_from_config(cfg.model)
    _check_plain(cfg.model)
    _check_trainable(architecture, protocol.family)
    _check_growth(architecture, protocol)
    if protocol.streams == "matched" or _needs_images(architecture, protocol):
        plain_training_set(cfg)
    if protocol.streams != "plain":
        check_streams(architecture.layout())
    if protocol.norm_ramp:
        for narrow, wide in itertools.pairwise(protocol.stages):
            groups = narrow.members // wide.members
            set_norm_blend(build_on_meta(cfg.model), groups, 0.0)


def _check_growth(target: Architecture, protocol: Protocol) -> None:
    """Ask the operator about every junction's widths."""
    operator = get_operator(protocol.operator)
    if protocol.streams != "plain" or protocol.norm_ramp:
        reason = ""
        if operator.parents == "one":
            reason = "has one parent"
        elif operator.parent_weights == "templates":
            reason = "grows mixtures of templates, not plain weights with zeros between them"
        if reason:
            raise PlanError(
                f"protocol.streams and protocol.norm_ramp join several parents' streams, but "
                f"{protocol.method} {reason}; leave them out"
            )
    for narrow, wide in itertools.pairwise(protocol.stages):
        if operator.inner and narrow.depth != wide.depth:
            raise PlanError(
                f"protocol.method={protocol.method!r} grows the inner widths of blocks that are "
                f"there, and cannot grow depth from {narrow.depth} to {wide.depth}; leave the "
                "stages' depth out"
            )
        parent, child = _layouts(target, narrow, wide)
        operator.describe(child, [parent.sizes] * (narrow.members // wide.members))


def _needs_images(target: Architecture, protocol: Protocol) -> bool:
    operator = get_operator(protocol.operator)
    if operator.work is None:
        return False
    junctions = [_layouts(target, *pair) for pair in itertools.pairwise(protocol.stages)]
    return any(operator.work(child, parent.sizes, 1) for parent, child in junctions)


def _layouts(target: Architecture, *stages: Stage) -> list[Layout]:
    return [target.scaled(stage.width).at_inner(stage.inner).layout() for stage in stages]


def _check_plain(model_cfg: Mapping[str, Any]) -> None:
    kind = type_name(model_cfg, "model")
    if kind != "ImageClassifier":
        raise PlanError(
            f"the model is a {kind}, but a staged config's model is the target, a plain "
            "ImageClassifier; protocol.method says how the members are trained"
        )


def _check_trainable(architecture: Architecture, family: str) -> None:
    if architecture.family != family:
        raise PlanError(
            f"protocol.family is {family!r}, but the model is a {architecture.family} "
            f"({architecture.label}); set protocol.family={architecture.family!r}"
        )
    if getattr(architecture, "distilled", False):
        raise PlanError(
            "DistilledVisionTransformer couples (tools/grow.py) but is not trained here: "
            "MMPretrain's DeiTClsHead has no training loss; use VisionTransformer with "
            "VisionTransformerClsHead"
        )


def _check_evaluator(cfg: Config) -> None:
    metrics = cfg.get("val_evaluator") or []
    metrics = [metrics] if isinstance(metrics, dict) else metrics
    kinds = [str(metric["type"]).rpartition(".")[-1] for metric in metrics]
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
