"""From a config and a command line to a run, staged or not."""

import logging
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from mmrbdc.datasets import check_config_data
from mmrbdc.engine.checkpoint_hook import newest_readable_checkpoint
from mmrbdc.engine.distributed import prepare_distributed
from mmrbdc.engine.options import merge_options
from mmrbdc.weights import write_json
from mmrbdc.weights.stock import stock_mmengine_globals


def is_staged(cfg: Config) -> bool:
    """Whether the config describes a protocol rather than one run."""
    return "stages" in cfg or "protocol" in cfg


def prepare_config(
    cfg: Config,
    *,
    options: dict[str, Any] | None = None,
    work_dir: str | None = None,
    resume: bool = False,
    seed: int | None = None,
    amp: bool = False,
    validate: bool = True,
    auto_scale_lr: bool = False,
    launcher: str = "none",
) -> Config:
    """Apply what a command line says to a loaded config; ``options`` are ``--cfg-options``.

    Raises:
        ValueError: an unknown option, or ``auto_scale_lr`` for a config without a base batch size.
    """
    merge_options(cfg, options)
    name = Path(cfg.filename).stem if cfg.filename else "run"
    cfg.work_dir = work_dir or cfg.get("work_dir") or f"work_dirs/{name}"
    cfg.resume = resume
    cfg.launcher = launcher
    if seed is not None:
        cfg.randomness = dict(cfg.get("randomness", {}), seed=seed)
    if amp:
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.dtype = "bfloat16"
    if not validate:
        for key in ("val_cfg", "val_dataloader", "val_evaluator"):
            cfg[key] = None
    if auto_scale_lr:
        if "base_batch_size" not in cfg.get("auto_scale_lr", {}):
            raise ValueError(
                f"--auto-scale-lr: {cfg.filename} has no auto_scale_lr.base_batch_size, the batch its lr is meant "
                "for; set it with --cfg-options auto_scale_lr.base_batch_size=N"
            )
        cfg.auto_scale_lr.enable = True
    return cfg


def train(cfg: Config) -> None:
    """Train a prepared config: a protocol through the staged runner, anything else through MMEngine's."""
    if is_staged(cfg):
        cfg.setdefault("runner_type", "mmrbdc.StagedRunner")
        RUNNERS.build(cfg).train()
        return
    import_modules_from_strings(**cfg.get("custom_imports", {"imports": []}))
    check_config_data(cfg)
    prepare_distributed(cfg)
    if cfg.resume:
        newest = newest_readable_checkpoint(Path(cfg.work_dir), logging.getLogger(__name__))
        cfg.load_from, cfg.resume = (str(newest), True) if newest else (None, False)
    started = time.monotonic()
    # MMEngine 0.10.7 reads what stock MMEngine wrote only with an allow-list.
    with torch.serialization.safe_globals(stock_mmengine_globals()):
        Runner.from_cfg(cfg).train()
    if is_main_process():
        write_json(Path(cfg.work_dir) / "wall.json", {"wall_s": time.monotonic() - started})
