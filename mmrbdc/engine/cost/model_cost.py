"""What a model costs: built on the ``meta`` device, counted, never trained."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

import torch
from torch import nn

from mmrbdc.engine.cost.on_meta import build_on_meta
from mmrbdc.families import architecture_from_config
from mmrbdc.models.frozen import freeze
from mmrbdc.plan import (
    StageModel,
    both_flops,
    training_flops_per_sample,
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
        image_size: height and width of an image in pixels.
        sizes: of all its spaces, by name.
        trained: names of the tensors whose gradients are asked for; the others are frozen.
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


_known: dict[str, StageModel] = {}
"""Counts by model config and image size: a study plans the same few models again and again."""


def stage_model(
    model_cfg: Mapping[str, Any], image_size: tuple[int, int], frozen: Sequence[str] = ()
) -> StageModel:
    """Build a classifier without weights and count its parameters and FLOPs.

    Args:
        model_cfg: Config of an MMPretrain ``ImageClassifier``.
        image_size: height and width of an image in pixels.
        frozen: names of the modules or parameters that it keeps as they are.
    """
    key = repr((model_cfg, image_size, tuple(frozen)))
    if key not in _known:
        _known[key] = _count(model_cfg, image_size, frozen)
    return _known[key]


def _count(
    model_cfg: Mapping[str, Any], image_size: tuple[int, int], frozen: Sequence[str]
) -> StageModel:
    architecture = architecture_from_config(model_cfg)
    model = build_on_meta(model_cfg)
    freeze(model, frozen)
    forward, training = both_flops(model, _image(model_cfg, image_size))
    return StageModel(
        label=architecture.label,
        width=architecture.width,
        params=sum(parameter.numel() for parameter in model.parameters()),
        forward_flops=forward,
        train_flops_per_sample=training,
        img_size=image_size,
    )
