"""A staged config as one of its stages sees it."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmrbdc.engine.configs.changes.regularisation import ease_regularisation
from mmrbdc.engine.configs.changes.template_members import train_templates
from mmrbdc.engine.configs.stage_loop import check_train_cfg
from mmrbdc.engine.inputs.image_size import input_size, set_image_size
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import get_operator
from mmrbdc.plan import PlanError, Protocol, Stage


def stage_configs(
    cfg: Config, protocol: Protocol, options: Mapping[str, Any] | None = None
) -> list[Config]:
    """Return :func:`stage_config` of every stage, with members of the kind that its operator grows.

    Args:
        cfg: the staged config, ``options`` already merged.
        protocol: its protocol.
        options: command-line overrides.
    """
    configs = [stage_config(cfg, stage, options) for stage in protocol.stages]
    for name, config in zip(protocol.operators, configs[:-1], strict=True):
        if get_operator(name).parent_weights == "templates":
            train_templates(config)
    return configs


def stage_config(cfg: Config, stage: Stage, options: Mapping[str, Any] | None = None) -> Config:
    """Copy a staged config as one stage sees it.

    Its overrides are merged, its model is as wide and deep as the stage says, its images as large.

    Args:
        cfg: the staged config, ``options`` already merged.
        stage: overrides, width, depth and image size.
        options: command-line overrides (``--cfg-options``): they win over the stage's own. Those
            that reach into ``stages`` took effect when ``stage`` was parsed.

    Raises:
        PlanError: a ``train_cfg`` that stages do not follow; or the stage has an image size, and
            overrides that change it another way.
        FamilyError: a width, depth or image size that the family cannot have.
    """
    config = Config(cfg.to_dict())
    config.merge_from_dict(stage.overrides)
    config.merge_from_dict(
        {key: value for key, value in (options or {}).items() if key.split(".")[0] != "stages"}
    )
    check_train_cfg(config.get("train_cfg") or {})
    member = architecture_from_config(config.model).scaled(stage.width)
    member = member.at_inner(stage.inner).at_depth(stage.depth)
    if stage.img_size is not None and stage.resized_to is None:
        member = member.at_image_size(stage.img_size)
        (height, width), target = input_size(config), input_size(cfg)
        if (height, width) != target:
            raise PlanError(
                f"a stage has img_size={stage.img_size} and an override that changes its images "
                f"from {target[0]}x{target[1]} to {height}x{width} px; leave one of them out"
            )
        set_image_size(config, stage.img_size)
    config.model = member.classifier_config(config.model)
    if stage.ramp is not None:
        ease_regularisation(config, stage.ramp)
    return config


def stage_image_size(config: Config, stage: Stage) -> tuple[int, int]:
    """Height and width in pixels of the images that a stage's members see.

    Args:
        config: as :func:`stage_config` returns it.
        stage: whose image size may be made by the preprocessor, behind the pipeline.
    """
    size = stage.resized_to
    return input_size(config) if size is None else (size, size)
