"""What the models of a staged config cost: built on the ``meta`` device, counted, never trained."""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import nn
from torch.overrides import TorchFunctionMode

from mmrbdc.config_errors import told_as_config_error
from mmrbdc.datasets.preprocessing import inner_dataset
from mmrbdc.engine.image_size import input_size, set_image_size
from mmrbdc.engine.template_members import train_templates
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import get_operator
from mmrbdc.plan import (
    PlanError,
    Protocol,
    Stage,
    StageModel,
    both_flops,
    check_image_sizes,
    training_flops_per_sample,
)


def plan_inputs(
    cfg: Config,
    protocol: Protocol,
    *,
    samples: int | None = None,
    batch_size: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Gather the arguments that ``make_plan`` and ``solve_lengths`` share from a staged config.

    Args:
        cfg: The staged config, ``options`` already merged.
        protocol: Its protocol.
        samples: Samples in one epoch over all processes; default ``protocol.train_samples``.
        batch_size: Samples in one iteration over all processes; default
            ``auto_scale_lr.base_batch_size``, or else that of the train loader.
        options: Command-line overrides, see :func:`stage_config`.

    Returns:
        ``stage_models``, ``reference_model``, ``samples``, ``batch_size`` and ``drop_last``.

    Raises:
        PlanError: Samples or input size are unknown, image sizes fall, or a stage changes the
            batch size.
    """
    samples = samples if samples is not None else protocol.train_samples
    if samples is None:
        raise PlanError(
            "the number of training samples is unknown; set protocol.train_samples in the config, "
            "or give --samples"
        )
    check_image_sizes(protocol.stages, input_size(cfg))
    reference = stage_model(cfg.model, input_size(cfg))
    configs = stage_configs(cfg, protocol, options)
    loader = cfg.train_dataloader
    for i, config in enumerate(configs):
        for key in ("batch_size", "drop_last"):
            ours, theirs = config.train_dataloader.get(key), loader.get(key)
            if ours != theirs:
                raise PlanError(
                    f"stages[{i}] sets train_dataloader.{key}={ours}, the protocol has {theirs}; "
                    "all stages share one batch size, so set it for the whole config"
                )
        if _sample_source(config) != _sample_source(cfg):
            raise PlanError(
                f"stages[{i}] changes the train data set or its sampler; all stages share one and "
                "may differ in the pipeline only, so set it for the whole config"
            )
    if batch_size is None:
        batch_size = cfg.get("auto_scale_lr", {}).get("base_batch_size", loader.batch_size)
    models = [stage_model(config.model, input_size(config)) for config in configs]
    junctions = zip(protocol.operators, pairwise(configs), strict=True)
    growth = [0, *(_growth_flops(name, *pair, samples) for name, pair in junctions)]
    return {
        "stage_models": [
            replace(model, growth_flops=flops) for model, flops in zip(models, growth, strict=True)
        ],
        "reference_model": reference,
        "samples": samples,
        "batch_size": batch_size,
        "drop_last": loader.get("drop_last", False),
    }


def _growth_flops(name: str, narrow: Config, wide: Config, samples: int) -> int:
    """What an operator's own passes cost for one child."""
    operator = get_operator(name)
    if operator.work is None:
        return 0
    sizes = architecture_from_config(narrow.model).layout().sizes
    parts = operator.work(architecture_from_config(wide.model).layout(), sizes, samples)
    image_size = input_size(wide)
    return sum(
        p.images * training_flops_at(wide.model, image_size, p.sizes, p.trained) for p in parts
    )


def training_flops_at(
    model_cfg: Mapping[str, Any],
    image_size: tuple[int, int],
    sizes: Mapping[str, int],
    trained: Set[str],
) -> int:
    """Count the training FLOPs of an image where some spaces have other sizes than the config's.

    Args:
        model_cfg: Config of an MMPretrain ``ImageClassifier``.
        image_size: Height and width of an image in pixels.
        sizes: Of all its spaces, by name.
        trained: Names of the tensors whose gradients are asked for; the others are frozen.
    """
    model = build_on_meta(model_cfg)
    layout = architecture_from_config(model_cfg).layout().resized(sizes)
    for name in layout.entries:
        path, _, leaf = name.rpartition(".")
        module = model.get_submodule(path)
        tensor = torch.empty(layout.shape(name), device="meta")
        if leaf in module._parameters:
            setattr(module, leaf, nn.Parameter(tensor, requires_grad=name in trained))
        else:
            setattr(module, leaf, tensor)
    return training_flops_per_sample(model, _image(model_cfg, image_size))


def _image(model_cfg: Mapping[str, Any], image_size: tuple[int, int]) -> torch.Tensor:
    colours = model_cfg["backbone"].get("in_channels", 3)
    return torch.zeros(1, colours, *image_size, device="meta")


def _sample_source(cfg: Config) -> tuple[dict, Any]:
    """What decides how many samples an epoch has."""
    dataset = cfg.train_dataloader.dataset.to_dict()
    inner_dataset(dataset).pop("pipeline", None)
    return dataset, cfg.train_dataloader.get("sampler")


def stage_configs(
    cfg: Config, protocol: Protocol, options: Mapping[str, Any] | None = None
) -> list[Config]:
    """Return :func:`stage_config` of every stage, with members of the kind that its operator grows.

    Args:
        cfg: The staged config, ``options`` already merged.
        protocol: Its protocol.
        options: Command-line overrides.
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
        cfg: The staged config, ``options`` already merged.
        stage: Overrides, width, depth and image size.
        options: Command-line overrides (``--cfg-options``): they win over the stage's own. Those
            that reach into ``stages`` took effect when ``stage`` was parsed.

    Raises:
        PlanError: The stage has an image size, and overrides that change it another way.
        FamilyError: A width, depth or image size that the family cannot have.
    """
    config = Config(cfg.to_dict())
    config.merge_from_dict(stage.overrides)
    config.merge_from_dict(
        {key: value for key, value in (options or {}).items() if key.split(".")[0] != "stages"}
    )
    member = architecture_from_config(config.model).scaled(stage.width)
    member = member.at_inner(stage.inner).at_depth(stage.depth)
    if stage.img_size is not None:
        member = member.at_image_size(stage.img_size)
        (height, width), target = input_size(config), input_size(cfg)
        if (height, width) != target:
            raise PlanError(
                f"a stage has img_size={stage.img_size} and an override that changes its images "
                f"from {target[0]}x{target[1]} to {height}x{width} px; leave one of them out"
            )
        set_image_size(config, stage.img_size)
    config.model = member.classifier_config(config.model)
    return config


_known: dict[str, StageModel] = {}
"""Counts by model config and image size: a study plans the same few models again and again."""


def stage_model(model_cfg: Mapping[str, Any], image_size: tuple[int, int]) -> StageModel:
    """Build a classifier without weights and count its parameters and FLOPs.

    Args:
        model_cfg: Config of an MMPretrain ``ImageClassifier``.
        image_size: Height and width of an image in pixels.
    """
    key = repr((model_cfg, image_size))
    if key not in _known:
        _known[key] = _count(model_cfg, image_size)
    return _known[key]


def _count(model_cfg: Mapping[str, Any], image_size: tuple[int, int]) -> StageModel:
    architecture = architecture_from_config(model_cfg)
    model = build_on_meta(model_cfg)
    forward, training = both_flops(model, _image(model_cfg, image_size))
    return StageModel(
        label=architecture.label,
        width=architecture.width,
        params=sum(parameter.numel() for parameter in model.parameters()),
        forward_flops=forward,
        train_flops_per_sample=training,
        img_size=image_size,
    )


def build_on_meta(model_cfg: Mapping[str, Any]) -> nn.Module:
    """Build a model of MMPretrain on the ``meta`` device, in eval mode."""
    scope = DefaultScope.overwrite_default_scope("mmpretrain")
    told = told_as_config_error("model", model_cfg)
    with scope, told, torch.device("meta"), _LinspaceOnCpu():
        model = MODELS.build(_bare(model_cfg))
    model.eval()
    return model


class _LinspaceOnCpu(TorchFunctionMode):
    """Backbones read their drop-path rates off a ``linspace``; on ``meta`` it has no values."""

    def __torch_function__(
        self, func: Callable, types: Iterable[type], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.linspace:
            kwargs = {"device": "cpu", **kwargs}
        return func(*args, **kwargs)


def _bare(model_cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a classifier's config without what prepares its data or makes its weights."""
    skipped = ("train_cfg", "data_preprocessor", "pretrained")
    return {key: _without_init(value) for key, value in model_cfg.items() if key not in skipped}


def _without_init(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {key: _without_init(value) for key, value in config.items() if key != "init_cfg"}
    if isinstance(config, list | tuple):
        return type(config)(_without_init(item) for item in config)
    return config
