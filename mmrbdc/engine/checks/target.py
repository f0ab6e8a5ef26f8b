"""What a staged config's target must be for its method, checked where a plan is made as well."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmrbdc.engine.cost.on_meta import build_on_meta
from mmrbdc.families import Architecture, architecture_from_config
from mmrbdc.families.options import type_name
from mmrbdc.growth import Layout, get_operator
from mmrbdc.plan import Grow, PlanError, Protocol, Stage
from mmrbdc.shipped import command


def check_target(cfg: Config, protocol: Protocol) -> Architecture:
    """Check that the target can be built and grown to as the protocol says.

    Returns:
        The target's architecture.

    Raises:
        ConfigError, FamilyError, GrowthError, PlanError: what is wrong with it.
    """
    architecture = architecture_from_config(cfg.model)
    _check_plain(cfg.model)
    _check_trainable(architecture, protocol.family)
    build_on_meta(cfg.model)
    _check_growth(architecture, protocol)
    return architecture


def _check_growth(target: Architecture, protocol: Protocol) -> None:
    """Ask the operator about every child's widths and blocks."""
    for step in protocol.steps:
        if not isinstance(step, Grow):
            continue
        operator = get_operator(step.operator)
        narrow, wide = (protocol.stages[i] for i in (step.parents[0].stage, step.stage))
        if operator.inner and narrow.depth != wide.depth:
            raise PlanError(
                f"protocol.method={protocol.method!r} grows the inner widths of blocks that are "
                f"there, and cannot grow depth from {narrow.depth} to {wide.depth}; leave the "
                "stages' depth out"
            )
        parent, child = layouts(target, narrow, wide)
        if operator.parents in ("behind", "deeper"):
            least = wide if operator.parents == "deeper" else narrow
            parent, child = (
                one.first_blocks(target.at_depth(stage.depth).layout().num_blocks)
                for one, stage in ((parent, least), (child, wide))
            )
        operator.describe(child, [parent.sizes] * len(step.parents), **dict(step.options))


def layouts(target: Architecture, *stages: Stage) -> list[Layout]:
    """The target's tensors as wide as each stage."""
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
    if architecture.not_trained:
        raise PlanError(
            f"this {architecture.label} couples ({command('grow')}) but is not trained here: "
            f"{architecture.not_trained}"
        )
