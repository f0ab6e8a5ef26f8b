"""What the models of a staged config cost: built on the ``meta`` device, counted, never trained."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import nn
from torch.overrides import TorchFunctionMode

from mmrbdc.families import architecture_from_config
from mmrbdc.families.base import type_name
from mmrbdc.plan import (
    PlanError,
    Protocol,
    Stage,
    StageModel,
    forward_flops,
    training_flops_per_sample,
)

_SIZE_ARGUMENT = {
    "CenterCrop": "crop_size",
    "EfficientNetCenterCrop": "crop_size",
    "EfficientNetRandomCrop": "scale",
    "RandomCrop": "crop_size",
    "RandomResizedCrop": "scale",
    "Resize": "scale",
}
"""Transforms after which every image has one size, and the argument that says which."""


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
        PlanError: Samples or input size are unknown, or a stage changes the batch size.
    """
    samples = samples if samples is not None else protocol.train_samples
    if samples is None:
        raise PlanError(
            "the number of training samples is unknown; set protocol.train_samples in the config, "
            "or give --samples"
        )
    configs = [stage_config(cfg, stage, options) for stage in protocol.stages]
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
    return {
        "stage_models": [stage_model(config.model, input_size(config)) for config in configs],
        "reference_model": stage_model(cfg.model, input_size(cfg)),
        "samples": samples,
        "batch_size": batch_size,
        "drop_last": loader.get("drop_last", False),
    }


def _sample_source(cfg: Config) -> tuple[dict, Any]:
    """What decides how many samples an epoch has."""
    dataset = cfg.train_dataloader.dataset.to_dict()
    dataset.pop("pipeline", None)
    return dataset, cfg.train_dataloader.get("sampler")


def stage_config(cfg: Config, stage: Stage, options: Mapping[str, Any] | None = None) -> Config:
    """Copy a staged config as one stage sees it: its overrides merged, its model narrowed.

    Args:
        cfg: The staged config, ``options`` already merged.
        stage: Overrides and width.
        options: Command-line overrides (``--cfg-options``): they win over the stage's own. Those
            that reach into ``stages`` took effect when ``stage`` was parsed.
    """
    config = Config(cfg.to_dict())
    config.merge_from_dict(stage.overrides)
    config.merge_from_dict(
        {key: value for key, value in (options or {}).items() if key.split(".")[0] != "stages"}
    )
    narrow = architecture_from_config(config.model).scaled(stage.width)
    config.model = narrow.classifier_config(config.model)
    return config


def input_size(cfg: Config) -> tuple[int, int]:
    """Height and width in pixels of the images that the model of ``cfg`` is trained on.

    Taken from the config's ``input_size``, or else from the last transform of the train pipeline
    that fixes a size, or else from the backbone's ``img_size``.
    """
    size = cfg.get("input_size") or _pipeline_size(cfg.train_dataloader.dataset)
    size = size or cfg.model.backbone.get("img_size")
    if size is None:
        raise PlanError(
            "the input size is unknown: neither the train pipeline nor the backbone fixes one; "
            "set input_size (pixels) at the top of the config"
        )
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def stage_model(model_cfg: Mapping[str, Any], input_size: tuple[int, int]) -> StageModel:
    """Build a classifier without weights and count its parameters and FLOPs.

    Args:
        model_cfg: Config of an MMPretrain ``ImageClassifier``.
        input_size: Height and width of an image in pixels.
    """
    architecture = architecture_from_config(model_cfg)
    model = build_on_meta(model_cfg)
    image = torch.zeros(1, 3, *input_size, device="meta")
    return StageModel(
        label=architecture.label,
        width=architecture.width,
        params=sum(parameter.numel() for parameter in model.parameters()),
        forward_flops=forward_flops(model, image),
        train_flops_per_sample=training_flops_per_sample(model, image),
    )


def build_on_meta(model_cfg: Mapping[str, Any]) -> nn.Module:
    """Build a model of MMPretrain on the ``meta`` device, in eval mode."""
    scope = DefaultScope.overwrite_default_scope("mmpretrain")
    with scope, torch.device("meta"), _LinspaceOnCpu():
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


def _pipeline_size(dataset: Mapping[str, Any]) -> int | tuple[int, int] | None:
    while "pipeline" not in dataset and "dataset" in dataset:
        dataset = dataset["dataset"]
    for transform in reversed(dataset.get("pipeline", [])):
        argument = _SIZE_ARGUMENT.get(type_name(transform, "a transform of the train pipeline"))
        if argument in transform:
            return transform[argument]
    return None
