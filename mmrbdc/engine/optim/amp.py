"""Mixed precision of runs that are not staged, on a device that may have no loss scaler for it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import nn

from mmrbdc.config_parts import type_name
from mmrbdc.registry import OPTIM_WRAPPERS

_AUTOCASTING = ("AmpOptimWrapper", "BFloat16OptimWrapper")


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """MMEngine's ``OptimWrapper`` with the forward pass under bfloat16 autocast, on any device.

    bfloat16 has float32's range, so no loss scaler is needed. MMEngine's own ``AmpOptimWrapper``
    does not run on a CPU.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Gradient accumulation as in ``OptimWrapper``, under autocast."""
        with super().optim_context(model), torch.autocast(get_device(), dtype=torch.bfloat16):
            yield


def set_autocast(cfg: Config, on: bool) -> None:
    """Let a config train under bfloat16 autocast, or without autocast; changes ``cfg``."""
    if on:
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.dtype = "bfloat16"
        return
    if type_name(cfg.optim_wrapper) in _AUTOCASTING:
        cfg.optim_wrapper.type = "OptimWrapper"
    for key in ("dtype", "loss_scale", "use_fp64", "autocast_dtype"):
        cfg.optim_wrapper.pop(key, None)


def autocasts(cfg: Config) -> bool:
    """Whether a config trains under autocast."""
    wrapper = cfg.get("optim_wrapper") or {}
    return type_name(wrapper) in _AUTOCASTING or bool(wrapper.get("autocast_dtype"))


def fit_amp_to_device(cfg: Config) -> None:
    """On a CPU let ``AmpOptimWrapper`` with bfloat16 be :class:`BFloat16OptimWrapper`; changes
    ``cfg``.

    Raises:
        ValueError: the device has no such mixed precision, or an operator of the model none.
    """
    wrapper = cfg.get("optim_wrapper") or {}
    if type_name(wrapper) != "AmpOptimWrapper":
        return
    dtype = wrapper.get("dtype")
    if get_device() == "cpu":
        if dtype != "bfloat16":
            raise ValueError(
                f"optim_wrapper: AmpOptimWrapper with dtype={dtype!r} needs a GPU; on a CPU use "
                "dtype='bfloat16' (--amp), or OptimWrapper"
            )
        wrapper.pop("loss_scale", None)
        del wrapper["dtype"]
        wrapper["type"] = "mmrbdc.BFloat16OptimWrapper"
    if dtype == "bfloat16" and _pools_regions(cfg.model) and (reason := _roi_align_fails()):
        raise ValueError(
            f"--amp: the detector pools regions with mmcv's RoIAlign, which has no bfloat16 on "
            f"this {get_device()} ({reason}); train it without --amp"
        )


def _pools_regions(config: Any) -> bool:
    if isinstance(config, Mapping):
        layer = config.get("roi_layer")
        own = isinstance(layer, Mapping) and str(layer.get("type")).endswith("RoIAlign")
        return own or any(_pools_regions(value) for value in config.values())
    return isinstance(config, list | tuple) and any(map(_pools_regions, config))


def _roi_align_fails() -> str | None:
    """Why RoIAlign does not run in bfloat16; ``None`` where it does."""
    from mmcv.ops import roi_align

    image = torch.zeros(1, 1, 4, 4, dtype=torch.bfloat16, device=get_device())
    region = torch.tensor([[0, 0, 0, 2, 2]], dtype=torch.bfloat16, device=get_device())
    try:
        roi_align(image, region, (1, 1))
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None
