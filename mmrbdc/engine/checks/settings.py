"""Numbers and names of a config of which MMEngine says an epoch later, if at all, that they are
none.
"""

import logging
from collections.abc import Mapping, Sequence
from multiprocessing import get_all_start_methods
from numbers import Integral, Real
from typing import Any

from mmengine.config import Config

from mmrbdc.config_errors import ConfigError
from mmrbdc.engine.process.precision import float32_precision

_LEAST = {
    "train_dataloader.batch_size": 1,
    "train_dataloader.num_workers": 0,
    "val_dataloader.batch_size": 1,
    "val_dataloader.num_workers": 0,
    "test_dataloader.batch_size": 1,
    "test_dataloader.num_workers": 0,
    "train_cfg.val_begin": 0,
    "train_cfg.val_interval": 1,
    "optim_wrapper.accumulative_counts": 1,
    "default_hooks.logger.interval": 1,
    "randomness.seed": 0,
    "data_preprocessor.pad_size_divisor": 1,
    "model.data_preprocessor.pad_size_divisor": 1,
    "model.backbone.arch.num_layers": 1,
    "model.backbone.arch.embed_dims": 1,
    "model.backbone.arch.num_heads": 1,
    "model.backbone.arch.feedforward_channels": 1,
}
"""Whole numbers, and the least that each may be."""

_SHARES = ("model.backbone.drop_path_rate", "model.backbone.drop_rate")
"""Shares that are left out at random."""

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_LARGEST_SEED = 2**32 - 1
"""numpy's."""


def check_settings(cfg: Mapping[str, Any]) -> None:
    """Check what needs no object to be checked; builds nothing.

    Args:
        cfg: of a run or a protocol; what it does not have is not asked for.

    Raises:
        ConfigError: names the key and its value.
    """
    for key, least in _LEAST.items():
        value = _at(cfg, key)
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if value is not None and not (whole and value >= least):
            raise ConfigError(f"{key}={value!r} must be a whole number from {least}; correct it")
    seed = _at(cfg, "randomness.seed")
    if seed is not None and seed > _LARGEST_SEED:
        raise ConfigError(f"randomness.seed={seed} is beyond {_LARGEST_SEED}, the largest seed")
    for key in _SHARES:
        share = _at(cfg, key)
        number = isinstance(share, Real) and not isinstance(share, bool)
        if share is not None and not (number and 0 <= share < 1):
            raise ConfigError(f"{key}={share!r} must be a number from 0 to below 1; correct it")
    level = cfg.get("log_level")
    if isinstance(level, str) and not isinstance(logging.getLevelName(level), int):
        raise ConfigError(f"log_level={level!r} is none of {', '.join(_LEVELS)}")
    method = _at(cfg, "env_cfg.mp_cfg.mp_start_method")
    if method is not None and method not in get_all_start_methods():
        known = ", ".join(get_all_start_methods())
        raise ConfigError(f"env_cfg.mp_cfg.mp_start_method={method!r} is none of {known}")
    float32_precision(cfg)
    for key in ("data_preprocessor", "model.data_preprocessor"):
        preprocessor = _at(cfg, key)
        if isinstance(preprocessor, Mapping):
            _check_normalisation(key, preprocessor, _at(cfg, "model.backbone.in_channels"))


def check_parts(cfg: Config, *names: str) -> None:
    """Check that a config has what a run cannot do without.

    Raises:
        ConfigError: names what is missing, or no dict.
    """
    missing = [name for name in names if cfg.get(name) is None]
    if missing:
        raise ConfigError(
            f"{cfg.filename or 'the config'} has no {', '.join(missing)}; was _base_ forgotten? "
            "configs/ has examples"
        )
    for name in names:
        if not isinstance(cfg[name], Mapping) and name != "test_evaluator":
            raise ConfigError(
                f"{name}={cfg[name]!r} is not a dict; set its parts: {name}.PART=VALUE"
            )


def _check_normalisation(key: str, preprocessor: Mapping[str, Any], channels: int | None) -> None:
    for name, other in (("mean", "std"), ("std", "mean")):
        values = preprocessor.get(name)
        if values is None:
            continue
        values = [values] if isinstance(values, Real) else values
        if not _numbers(values):
            raise ConfigError(f"{key}.{name}={values!r} is not a list of one number per channel")
        if preprocessor.get(other) is None:
            raise ConfigError(f"{key} has {name} and no {other}; give both, or none")
        # Where the backbone does not say it, it may take more than three, two hardly.
        if len(values) > 1 and (len(values) != channels if channels else len(values) == 2):
            raise ConfigError(
                f"{key}.{name} has {len(values)} numbers, an image {channels or 3} channels; give "
                "one for each, or one for all"
            )
        if name == "std" and not all(values):
            raise ConfigError(f"{key}.std={values!r} has a 0, and pixels are divided by it")


def _numbers(values: Any) -> bool:
    return (
        isinstance(values, Sequence)
        and not isinstance(values, str)
        and bool(values)
        and all(isinstance(value, Real) for value in values)
    )


def _at(cfg: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(cfg, Mapping | Config):
            return None
        cfg = cfg.get(part)
    return cfg
