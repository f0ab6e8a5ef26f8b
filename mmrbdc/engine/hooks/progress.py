"""Where a run stands in its protocol, in words a person can follow."""

import datetime
import time
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.registry import HOOKS

_WARM_UP, _FORECAST = 3, 12
"""Iterations that are not timed, and that are, for the first forecast."""
_BOUND = 0.2
"""Share of the time spent waiting for images from which loading is said to bound a stage."""


@HOOKS.register_module()
class ProgressHook(Hook):
    """Log the stage, the share of the protocol that is done, and when stage and protocol will end;
    once at the start of a stage what a dozen iterations let expect, and what bounds them.

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
        self._warm = (0.0, 0)

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self._started = (time.monotonic(), runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log every ``interval`` iterations and at the stage's end."""
        done = runner.iter + 1
        since_first = done - self._started[1]
        if since_first == _WARM_UP:
            self._warm = (time.monotonic(), done)
        elif since_first == _WARM_UP + _FORECAST and runner.max_iters > 2 * self.interval:
            self._forecast(runner, done)
        if done % self.interval and done != runner.max_iters:
            return
        stage_left, all_left = self._left(runner, done, self._started)
        spent = self.flops_before + self.flops * done / runner.max_iters
        total = self.flops_before + self.flops + self.flops_after
        runner.logger.info(
            f"stage {self.stage + 1} of {self.stages}: {done / runner.max_iters:.0%} "
            f"done, {_clock(stage_left)} left | protocol: "
            f"{spent / total:.0%} of the FLOPs, {_clock(all_left)} left"
        )

    def _left(self, runner: Runner, done: int, start: tuple[float, int]) -> tuple[float, float]:
        """Seconds left of the stage and of the protocol, by what passed since a start."""
        since, first = start
        per_iter = (time.monotonic() - since) / (done - first)
        stage_left = per_iter * (runner.max_iters - done)
        return stage_left, stage_left + per_iter * runner.max_iters * self.flops_after / self.flops

    def _forecast(self, runner: Runner, done: int) -> None:
        stage_left, all_left = self._left(runner, done, self._warm)
        seconds = (time.monotonic() - self._warm[0]) / (done - self._warm[1])
        images = runner.train_dataloader.batch_size * runner.world_size / seconds
        runner.logger.info(
            f"forecast after {_WARM_UP + _FORECAST} iterations: {images:,.0f} images a second"
            f"{_bound(runner, seconds)} | this stage {_clock(stage_left)}, the protocol "
            f"{_clock(all_left)}"
        )


def _bound(runner: Runner, seconds: float) -> str:
    """What bounds iterations of so many seconds; nothing where no timer noted the waiting."""
    times = runner.message_hub.log_scalars.get("train/data_time")
    if times is None:
        return ""
    loading = min(times.mean(_FORECAST) / seconds, 1)
    bound = (
        "loading bounds it: more train_dataloader.num_workers"
        if loading > _BOUND
        else "the model bounds it"
    )
    return f", {loading:.0%} of the time spent waiting for them ({bound})"


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
