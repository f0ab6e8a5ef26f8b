"""Models inside of wrappers."""

from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> Any:
    """The model inside of DistributedDataParallel or another wrapper of MMEngine's, or itself."""
    return model.module if is_model_wrapper(model) else model
