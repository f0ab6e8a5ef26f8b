"""A loss that is not finite ends the run before a checkpoint can keep it."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from mmrbdc.engine.hooks.checkpoint import numbered_checkpoints
from mmrbdc.models.wrappers import unwrapped
from mmrbdc.registry import HOOKS
from mmrbdc.weights import WeightsError, check_numbers

_MEMBERS = re.compile(r"member(\d+)\.(.*)")
_MOST_SCALED = 20
"""Losses in a row that a scaler of losses may have to leave out; it halves its scale each time."""


class NonFiniteLoss(ValueError):
    """A loss became NaN or infinite."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop at the first loss that is NaN or infinite, and say whose, when, and what is still good.

    It is the first to look at what a step says of itself, and brings all of it, the norms of
    members' gradients with it, from the GPU in one copy: MMEngine's log and whoever reads the
    losses behind it find them on the host, and the host waits for the GPU once a step.

    Where the optimizer wrapper leaves such steps out (``skip_nonfinite``), it is the one to stop
    the run; a member whose statistics (BatchNorm) are not finite any more is beyond that. A scaler
    of losses (AMP in float16) leaves such steps out too: only the twentieth in a row stops the run.

    The last step before a checkpoint may spoil weights of which no loss was computed yet. No
    checkpoint with such weights is written, whichever hook asks for it.
    """

    leaves_weights = True
    priority = "HIGHEST"  # before anything is logged or saved

    def __init__(self) -> None:
        self._in_a_row = 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Bring ``outputs`` to the host, with norms; check all losses, every member's or a model's.

        Raises:
            NonFiniteLoss: one of them is not finite.
        """
        if outputs is None:
            return
        taken = getattr(runner.optim_wrapper, "take_norms", dict)
        outputs.update(on_host({**outputs, **taken()}))
        losses = {name: value for name, value in outputs.items() if "loss" in name}
        of_members = {n: v for n, v in losses.items() if _MEMBERS.fullmatch(n)}
        wrong = {
            name: number
            for name, value in (of_members or losses).items()  # else their sum would be one more
            if not math.isfinite(number := torch.as_tensor(value).item())
        }
        self._in_a_row = self._in_a_row + 1 if wrong else 0
        if wrong and _scales(runner) and self._in_a_row < _MOST_SCALED:
            return
        for name, number in wrong.items():
            member = _MEMBERS.fullmatch(name)
            skips = getattr(runner.optim_wrapper, "skip_nonfinite", 0)
            if member and skips and _finite_buffers(runner, int(member[1])):
                continue
            where = f"at iteration {runner.iter + 1}"
            if member:
                what = f"member {member[1]}: {member[2]} is {number} {where} of the stage"
                advice = (
                    "Lower the learning rate, clip gradients (optim_wrapper.clip_grad), or let "
                    "such steps be skipped (optim_wrapper.skip_nonfinite=N); then start anew, or "
                    "go on with --resume where the options that changed do not decide the weights"
                )
            else:
                what = f"{name} is {number} {where}"
                advice = (
                    "Lower the learning rate or clip gradients (optim_wrapper.clip_grad), and "
                    "begin in another --work-dir; --cfg-options load_from=CHECKPOINT begins from "
                    "weights that are there"
                )
            raise NonFiniteLoss(f"{what} (epoch {runner.epoch + 1}); {_kept(runner)}. {advice}")

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the weights.

        Raises:
            NonFiniteLoss: some are not finite; nothing is written.
        """
        try:
            done = checkpoint["meta"]["iter"]
            check_numbers(checkpoint["state_dict"], f"after {done} iterations, not written")
        except WeightsError as error:
            raise NonFiniteLoss(f"{error}; {_kept(runner)}") from None


def on_host(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """What a step says of itself, its single-element tensors (any shape) as such of shape () on the
    CPU, in one copy from each device.
    """
    found = dict(numbers)
    devices: dict[torch.device, dict[str, torch.Tensor]] = {}
    for name, value in numbers.items():
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            devices.setdefault(value.device, {})[name] = value.detach().reshape(())
    for device, tensors in devices.items():
        if device.type == "cpu":
            found.update(tensors)
        else:
            together = torch.stack(list(tensors.values())).cpu()
            found.update(zip(tensors, together, strict=True))
    return found


def _kept(runner: Runner) -> str:
    """Say which checkpoint is still good."""
    hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    kept = numbered_checkpoints(Path(hook.out_dir), hook.filename_tmpl) if hook else []
    return f"the last good checkpoint is {kept[0][1]}" if kept else "no checkpoint is there"


def _scales(runner: Runner) -> bool:
    """Whether a scaler leaves out steps whose gradient is not finite."""
    scaler = getattr(runner.optim_wrapper, "loss_scaler", None)
    return scaler is not None and scaler.is_enabled()


def _finite_buffers(runner: Runner, index: int) -> bool:
    siblings = unwrapped(runner.model)
    member = siblings.members[siblings.indices.index(index)]
    return all(b.isfinite().all() for b in member.buffers() if b.is_floating_point())
