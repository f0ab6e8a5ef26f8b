"""A loss that is no number ends the run before a checkpoint can keep it."""

import math
import re
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.engine.checkpoint_hook import checkpoint_hook, numbered_checkpoints
from mmrbdc.models.wrappers import unwrapped
from mmrbdc.registry import HOOKS


class NonFiniteLoss(ValueError):
    """A member's loss became NaN or infinite."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop at the first loss that is NaN or infinite, and say whose, when, and what is still good.

    Its check costs nothing: MMEngine has read the losses for its log already. Where the optimizer
    wrapper leaves such steps out (``skip_nonfinite``), it is the one to stop the run; a member
    whose statistics (BatchNorm) are no numbers any more is beyond that.
    """

    priority = "VERY_HIGH"  # before anything is saved

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Check every member's losses.

        Raises:
            NonFiniteLoss: one of them is no number.
        """
        for name, value in (outputs or {}).items():
            found = re.fullmatch(r"member(\d+)\.(.*loss.*)", name)
            if not found or math.isfinite(value := torch.as_tensor(value).item()):
                continue
            if runner.optim_wrapper.skip_nonfinite and _finite_buffers(runner, int(found[1])):
                continue
            hook = checkpoint_hook(runner)
            kept = numbered_checkpoints(Path(hook.out_dir), hook.filename_tmpl)
            last = f"the last good checkpoint is {kept[0][1]}" if kept else "no checkpoint is there"
            raise NonFiniteLoss(
                f"member {found[1]}: {found[2]} is {value} at iteration {runner.iter + 1} "
                f"of the stage (epoch {runner.epoch + 1}); {last}. Lower the learning rate, clip "
                "gradients (optim_wrapper.clip_grad), or let such steps be skipped "
                "(optim_wrapper.skip_nonfinite=N); then start anew, or go on with --resume where "
                "the options that changed do not decide the weights"
            )


def _finite_buffers(runner: Runner, index: int) -> bool:
    siblings = unwrapped(runner.model)
    member = siblings.members[siblings.indices.index(index)]
    return all(b.isfinite().all() for b in member.buffers() if b.is_floating_point())
