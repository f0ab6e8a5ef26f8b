"""A stage's member as a config of MMPretrain's own kind: ``get_model``, inferencers, its tools."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmrbdc.engine.configs.staged_keys import STAGED_KEYS
from mmrbdc.weights import write_text

FILE_NAME = "model.py"
_ELSEWHERE = ("work_dir", "resume", "load_from", "launcher", "auto_scale_lr", "experiment_name")
_HEADER = """# A member of this stage for MMPretrain: model of members/*.pth, data and schedule.
#     mmpretrain.get_model("{0}", pretrained="{1}")
# Training it trains one model from random weights; the stage itself is config.py.
"""


def plain_config(config: Config, run: Config) -> Config:
    """The config of one member by itself, of stock types where the recipe has stock types.

    Args:
        config: the staged config as the stage sees it.
        run: the config of the stage's run, see ``run_config.run_config``; gives the schedule.
    """
    cfg = Config(config.to_dict(), format_python_code=False)
    for key in (*STAGED_KEYS, *_ELSEWHERE):
        cfg.pop(key, None)
    for split in ("train", "val", "test"):
        loader = cfg.get(f"{split}_dataloader")
        if loader and not loader.get("num_workers"):
            loader.persistent_workers = False  # which a loader without workers refuses
    cfg.param_scheduler = run.param_scheduler
    cfg.train_cfg = dict(by_epoch=False, max_iters=run.train_cfg.max_iters)
    if cfg.get("val_dataloader"):
        cfg.train_cfg["val_interval"] = run.train_cfg.max_iters
    hooks = {k: v for k, v in cfg.get("default_hooks", {}).items() if k != "checkpoint"}
    cfg.default_hooks = dict(hooks, checkpoint=dict(type="CheckpointHook", by_epoch=False))
    imports = cfg.pop("custom_imports", None)
    if imports and not _needs_mmrbdc(cfg.to_dict()):
        own = [name for name in _listed(imports["imports"]) if name.split(".")[0] != "mmrbdc"]
        imports = dict(imports, imports=own) if own else None
    if imports:
        cfg.custom_imports = imports
    return cfg


def write_plain_config(config: Config, run: Config, folder: Path) -> None:
    """Write ``model.py`` into a stage's folder, see :func:`plain_config`."""
    path = folder / FILE_NAME
    header = _HEADER.format(path, folder / "members" / "0.pth")
    write_text(path, header + plain_config(config, run).pretty_text)


def copy_plain_config(stage: Path, folder: Path) -> None:
    """Put a stage's ``model.py``, which stages of older versions do not have, into a folder."""
    if (stage / FILE_NAME).is_file():
        write_text(folder / FILE_NAME, (stage / FILE_NAME).read_text())


def _listed(imports: Any) -> list[str]:
    return [imports] if isinstance(imports, str) else list(imports)


def _needs_mmrbdc(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_needs_mmrbdc, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_needs_mmrbdc, value))
    return isinstance(value, str) and value.startswith("mmrbdc.")
