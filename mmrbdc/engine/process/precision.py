"""How a GPU multiplies float32 numbers: ``env_cfg.float32_precision``."""

from collections.abc import Mapping
from typing import Any

import torch

from mmrbdc.config_errors import ConfigError

FLOAT32_PRECISIONS = ("ieee", "tf32")


def float32_precision(cfg: Mapping[str, Any]) -> str | None:
    """What a config asks for; None where it leaves torch's defaults (products in float32,
    convolutions in TF32).

    Raises:
        ConfigError: a precision that there is not.
    """
    value = (cfg.get("env_cfg") or {}).get("float32_precision")
    if value is not None and value not in FLOAT32_PRECISIONS:
        raise ConfigError(
            f"env_cfg.float32_precision={value!r}: it is 'tf32' (10 bits of mantissa, on GPUs from "
            "Ampere on), 'ieee' (float32), or left out for torch's defaults"
        )
    return value


def set_float32_precision(cfg: Mapping[str, Any]) -> None:
    """Let products and convolutions of float32 be computed as a config asks for."""
    if (value := float32_precision(cfg)) is not None:
        torch.backends.cuda.matmul.allow_tf32 = value == "tf32"
        torch.backends.cudnn.allow_tf32 = value == "tf32"
