"""After SIGTERM a run saves and stops."""

from typing import Any

from mmengine.dist import barrier
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.engine.hooks.checkpoint import checkpoint_hook
from mmrbdc.engine.process.signals import Preempted, requested, stop_if_requested
from mmrbdc.processes import EXIT_PREEMPTED
from mmrbdc.registry import HOOKS


@HOOKS.register_module()
class PreemptionHook(Hook):
    """After SIGTERM save at the next iteration, in the middle of an epoch too, and stop.

    Under gradient accumulation it waits for the next optimizer step. A validation is given up when
    the checkpoint before it was written, and the loop will do it over when it goes on.
    """

    leaves_weights = True
    priority = "LOWEST"  # when every other hook is done with the iteration

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save and stop, if asked to."""
        if not requested() or not runner.optim_wrapper.should_update():
            return
        path = checkpoint_hook(runner).save_now(runner, runner.epoch, runner.iter + 1)
        barrier()
        runner.logger.warning(
            f"SIGTERM: wrote {path} and stopping; --resume goes on from iteration "
            f"{runner.iter + 1} (exit code {EXIT_PREEMPTED})"
        )
        raise Preempted

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Stop, if asked to and nothing would be lost."""
        over = getattr(runner.train_loop, "validates_on_resume", False)
        if over and checkpoint_hook(runner).saved_iter == runner.iter:
            stop_if_requested()
