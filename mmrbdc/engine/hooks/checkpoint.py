"""Checkpoints that survive whatever kills the process, and are read without unpickling code."""

import re
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import Runner

from mmrbdc.models.wrappers import unwrapped
from mmrbdc.registry import HOOKS
from mmrbdc.weights import WeightsError, check_numbers, safe_load
from mmrbdc.weights.atomic import commit, write_text


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's ``CheckpointHook`` with four changes.

    A checkpoint is written beside, synced and renamed, and only then are older ones dropped. It
    holds tensors and plain types only, so ``torch.load(weights_only=True)`` reads it with no
    allow-list; the message hub's log buffers, which are objects, are left out. On resume its keys
    and shapes must be exactly the model's. One can be written in the middle of an epoch
    (``epoch_<e>_iter_<n>.pth``: e whole epochs and n iterations), but never while gradients are
    half accumulated: a checkpoint that is due then waits for the next optimizer step.

    Args: as for MMEngine's hook; ``max_keep_ckpts`` defaults to 2, so that a damaged newest file
        has a predecessor.
    """

    leaves_weights = True

    def __init__(self, *args: Any, max_keep_ckpts: int = 2, **kwargs: Any) -> None:
        super().__init__(*args, max_keep_ckpts=max_keep_ckpts, **kwargs)
        self.saved_iter = -1
        self._owed = False

    def after_train_epoch(self, runner: Runner) -> None:
        """Save when due, or put it off to the next optimizer step."""
        if self.by_epoch and not _at_optimizer_step(runner):
            self._owed = True
            return
        super().after_train_epoch(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save when due, and what was put off."""
        if not _at_optimizer_step(runner):
            due = self.every_n_train_iters(runner, self.interval, self.save_begin)
            self._owed |= due and not self.by_epoch
            return
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if self._owed:
            self._owed = False
            self.save_now(runner, runner.epoch, runner.iter + 1)

    def save_now(self, runner: Runner, epoch: int, iteration: int) -> Path:
        """Write a checkpoint outside the interval.

        Args:
            runner: the run; every rank must call this.
            epoch: whole epochs that are done.
            iteration: iterations that are done, over all epochs.
        """
        begun = iteration - epoch * len(runner.train_dataloader)
        step = f"{epoch}_iter_{begun}" if self.by_epoch else iteration
        meta = dict(epoch=epoch, iter=iteration)
        self._write(runner, self.filename_tmpl.format(step), meta)
        return Path(self.last_ckpt)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self._write(runner, self.filename_tmpl.format(step), meta)

    def _write(self, runner: Runner, name: str, meta: dict) -> None:
        folder = Path(self.out_dir)
        self.last_ckpt = str(folder / name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        partial = folder / f".{name}.tmp"
        try:
            runner.save_checkpoint(
                self.out_dir,
                partial.name,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                **self.args,
            )
            if is_main_process():
                commit(partial, folder / name)
        except OSError as error:
            partial.unlink(missing_ok=True)
            kept = [path.name for _, path in numbered_checkpoints(folder, self.filename_tmpl)]
            raise OSError(
                f"cannot write {folder / name}: {error}; kept is {', '.join(kept) or 'nothing'}. "
                "Make room on the disk and go on with --resume"
            ) from error
        self.saved_iter = meta["iter"]
        if not is_main_process():
            return
        write_text(Path(runner.work_dir) / "last_checkpoint", self.last_ckpt)
        if self.max_keep_ckpts > 0:
            numbered = numbered_checkpoints(folder, self.filename_tmpl)
            step = next(step for step, path in numbered if path.name == name)
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
        """Refuse weights that are not finite, and on resume other names or shapes than ours."""
        # Under EMAHook, which comes first, raw weights and average may have changed places.
        for weights in (checkpoint.get("state_dict", checkpoint), checkpoint.get("ema_state_dict")):
            tensors = {n: v for n, v in (weights or {}).items() if isinstance(v, torch.Tensor)}
            check_numbers(tensors, f"{runner._load_from}, not loaded")
        if not runner._resume:
            return
        model = unwrapped(runner.model)
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


def checkpoint_hook(runner: Runner) -> CheckpointHook:
    """The run's checkpoint hook."""
    return next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))


def numbered_checkpoints(folder: Path, filename_tmpl: str) -> list[tuple[tuple[int, int], Path]]:
    """Numbers and paths of the checkpoints in ``folder``, the highest number first.

    A number is (epochs, iterations of the next one), or (iterations, 0) where the template counts
    iterations.
    """
    before, _, after = filename_tmpl.partition("{}")
    pattern = re.compile(rf"{re.escape(before)}(\d+)(?:_iter_(\d+))?{re.escape(after)}")
    numbered = [
        ((int(m[1]), int(m[2] or 0)), path)
        for path in folder.glob("*")
        if (m := pattern.fullmatch(path.name))
    ]
    return sorted(numbered, reverse=True)


def _at_optimizer_step(runner: Runner) -> bool:
    """Whether the last iteration ended in an optimizer step, so that no gradient is pending."""
    return runner.optim_wrapper.should_update()


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
