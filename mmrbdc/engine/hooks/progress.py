"""Where a run stands in its protocol, in words a person can follow."""

import datetime
import time
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.registry import HOOKS


@HOOKS.register_module()
class ProgressHook(Hook):
    """Log the stage, the share of the protocol that is done, and when stage and protocol will end.

    The stages still to come are timed by their FLOPs at the speed of this one.

    Args:
        stage: this stage's number, from 0.
        stages: how many the protocol has.
        flops_before: training FLOPs spent before this run.
        flops: planned for this run.
        flops_after: planned for the stages to come.
        interval: iterations between two lines.
    """

    leaves_weights = True
    priority = "VERY_LOW"

    def __init__(
        self,
        stage: int,
        stages: int,
        flops_before: float,
        flops: float,
        flops_after: float,
        interval: int = 50,
    ) -> None:
        self.stage = stage
        self.stages = stages
        self.flops_before = flops_before
        self.flops = flops
        self.flops_after = flops_after
        self.interval = interval
        self._started = (0.0, 0)

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self._started = (time.monotonic(), runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log every ``interval`` iterations and at the stage's end."""
        done = runner.iter + 1
        if done % self.interval and done != runner.max_iters:
            return
        since, first = self._started
        per_iter = (time.monotonic() - since) / (done - first)
        stage_left = per_iter * (runner.max_iters - done)
        all_left = stage_left + per_iter * runner.max_iters * self.flops_after / self.flops
        spent = self.flops_before + self.flops * done / runner.max_iters
        total = self.flops_before + self.flops + self.flops_after
        runner.logger.info(
            f"stage {self.stage + 1} of {self.stages}: {done / runner.max_iters:.0%} "
            f"done, {_clock(stage_left)} left | protocol: "
            f"{spent / total:.0%} of the FLOPs, {_clock(all_left)} left"
        )


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
