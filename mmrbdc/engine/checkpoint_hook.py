"""Checkpoints that survive whatever kills the process, and are read without unpickling code."""

import re
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmrbdc.registry import HOOKS
from mmrbdc.weights import WeightsError, safe_load
from mmrbdc.weights.atomic import atomic_write, commit


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's ``CheckpointHook`` with three changes.

    A checkpoint is written beside, synced and renamed, and only then are older ones dropped. It
    holds tensors and plain types only, so ``torch.load(weights_only=True)`` reads it with no
    allow-list; the message hub's log buffers, which are objects, are left out. On resume its keys
    and shapes must be exactly the model's.

    Args: as for MMEngine's hook; ``max_keep_ckpts`` defaults to 2, so that a damaged newest file
        has a predecessor.
    """

    def __init__(self, *args: Any, max_keep_ckpts: int = 2, **kwargs: Any) -> None:
        super().__init__(*args, max_keep_ckpts=max_keep_ckpts, **kwargs)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        name = self.filename_tmpl.format(step)
        folder = Path(self.out_dir)
        self.last_ckpt = str(folder / name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        partial = f".{name}.tmp"
        runner.save_checkpoint(
            self.out_dir,
            partial,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            **self.args,
        )
        if not is_main_process():
            return
        commit(folder / partial, folder / name)
        atomic_write(
            Path(runner.work_dir) / "last_checkpoint",
            lambda file: file.write(self.last_ckpt.encode()) and None,
        )
        if self.max_keep_ckpts > 0:
            numbered = numbered_checkpoints(folder, self.filename_tmpl)
            older = [path for number, path in numbered if number < step]
            for old in older[self.max_keep_ckpts - 1 :]:
                old.unlink()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Leave tensors and plain types only."""
        hub = checkpoint["message_hub"]
        kept = {k: v for k, v in hub["resumed_keys"].items() if k in hub["runtime_info"]}
        checkpoint["message_hub"] = dict(hub, log_scalars={}, resumed_keys=kept)
        for name in ("meta", "message_hub", "param_schedulers"):
            if name in checkpoint:
                checkpoint[name] = _plain(checkpoint[name], name)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """On resume, refuse a checkpoint whose keys or shapes are not exactly the model's."""
        if not runner._resume:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        read = {name: tuple(value.shape) for name, value in checkpoint["state_dict"].items()}
        differing = [
            name for name in sorted(own.keys() | read.keys()) if own.get(name) != read.get(name)
        ]
        if differing:
            shown = "; ".join(
                f"{name}: model {own.get(name, 'absent')}, checkpoint {read.get(name, 'absent')}"
                for name in differing[:5]
            )
            raise WeightsError(
                f"{len(differing)} tensors of the checkpoint do not fit the model: {shown}. It was "
                "written by another model or stage; choose another --work-dir"
            )


def numbered_checkpoints(folder: Path, filename_tmpl: str) -> list[tuple[int, Path]]:
    """Numbers and paths of the checkpoints in ``folder``, the highest number first."""
    pattern = re.compile(re.escape(filename_tmpl).replace(r"\{\}", r"(\d+)"))
    numbered = [
        (int(m[1]), path) for path in folder.glob("*") if (m := pattern.fullmatch(path.name))
    ]
    return sorted(numbered, reverse=True)


def newest_readable_checkpoint(folder: Path, logger: Any) -> Path | None:
    """The newest checkpoint that can be read to its end, or ``None``; damaged ones are reported,
    not removed.

    Epoch checkpoints count before iteration checkpoints; ``last_checkpoint`` is not asked.
    """
    for template in ("epoch_{}.pth", "iter_{}.pth"):
        for _, path in numbered_checkpoints(folder, template):
            try:
                safe_load(path)
            except WeightsError as error:
                logger.warning(f"passing over {path}: {error}")
                continue
            return path
    return None


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(entry, where) for entry in value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if value is None or isinstance(value, (str, bytes, bool, Number, torch.Tensor)):
        return value
    raise TypeError(f"{where} of the checkpoint holds a {type(value).__name__}, not a plain type")
