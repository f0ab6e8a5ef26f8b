"""Models without weights, on the ``meta`` device."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from torch import nn
from torch.overrides import TorchFunctionMode

from mmrbdc.config_errors import told_as_config_error
from mmrbdc.registry import MODELS


def build_on_meta(model_cfg: Mapping[str, Any], *, scope: str = "mmpretrain") -> nn.Module:
    """Build a model on the ``meta`` device, in eval mode.

    Args:
        model_cfg: its config.
        scope: ``'mmpretrain'`` for a classifier, built without what prepares its data; ``'mmdet'``
            for a detector.
    """
    bare = _bare(model_cfg) if scope == "mmpretrain" else ConfigDict(_without_init(model_cfg))
    told = told_as_config_error("model", model_cfg)
    in_scope = DefaultScope.overwrite_default_scope(scope)
    with in_scope, told, torch.device("meta"), _LinspaceOnCpu():
        model = MODELS.build(bare)
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
