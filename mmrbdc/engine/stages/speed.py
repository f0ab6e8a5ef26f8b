"""How long a protocol takes, from a few steps of every stage on the machine at hand."""

import itertools
import logging
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmrbdc.engine.hooks.finite_loss import on_host
from mmrbdc.engine.optim.siblings import at_level
from mmrbdc.registry import MODELS

_WARM_UP = 2


@dataclass(frozen=True)
class StageSpeed:
    """What a stage's steps take here.

    Attributes:
        name: of the stage.
        iters: planned.
        batch: images that a device takes at once.
        planned_batch: images of a planned iteration, over all devices.
        workers: of a device's loader.
        step_s: seconds of a training step of all members, without loading.
        load_s: seconds of loading a batch, without training.
    """

    name: str
    iters: int
    batch: int
    planned_batch: int
    workers: int
    step_s: float
    load_s: float

    def hours(self, gpus: int) -> float:
        """Of the whole stage on so many devices like this one, each with a loader of its own, if
        nothing is lost between them; validation is not in it.
        """
        steps = self.iters * self.planned_batch / (self.batch * gpus)
        one = max(self.step_s, self.load_s) if self.workers else self.step_s + self.load_s
        return steps * one / 3600

    @property
    def bound(self) -> str:
        """What the stage waits for."""
        return "loading" if self.load_s > self.step_s else "compute"

    @property
    def images_needed(self) -> float:
        """Images a second that a device would take if they were there."""
        return self.batch / self.step_s

    @property
    def workers_needed(self) -> int:
        """Workers a device that would load as fast as it trains, one core each."""
        return math.ceil(self.load_s * max(1, self.workers) / self.step_s)


def measure_stage(name: str, run: Config, iters: int, planned_batch: int, steps: int) -> StageSpeed:
    """Take a few steps of a stage, and load a few batches of its data.

    Args:
        name: of the stage.
        run: config of its run; members begin with random weights.
        iters: planned.
        planned_batch: images of a planned iteration.
        steps: that are timed, and batches.
    """
    loader = run.train_dataloader
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        batches = _batches(loader)
        for _ in range(_WARM_UP + 2 * loader.get("num_workers", 0)):  # those that wait already
            batch = next(batches)
        load_s = _median(lambda: next(batches), steps, whole=True)
        step_s = _median(_step(run, batch), steps)
    return StageSpeed(
        name=name,
        iters=iters,
        batch=loader.batch_size,
        planned_batch=planned_batch,
        workers=loader.get("num_workers", 0),
        step_s=step_s,
        load_s=load_s,
    )


def _batches(loader: Any) -> Iterator[Any]:
    """Batch after batch, from epoch to epoch."""
    built = Runner.build_dataloader(loader, seed=0)
    for epoch in itertools.count():
        built.sampler.set_epoch(epoch)
        yield from built


def _step(run: Config, batch: Any) -> Callable[[], Any]:
    with at_level(logging.WARNING):  # a line a parameter
        model: Any = MODELS.build(run.model)
        model.init_weights()
        model.to(get_device()).train()
        wrapper = build_optim_wrapper(model, run.optim_wrapper)
    wrapper.initialize_count_status(model, 0, run.train_cfg.max_iters)
    hub = MessageHub.get_current_instance()
    numbers = itertools.count()

    def step() -> Any:
        hub.update_info("iter", next(numbers))
        return on_host(model.train_step(batch, wrapper))  # which waits for a GPU

    return step


def _median(call: Callable[[], Any], times: int, whole: bool = False) -> float:
    """Seconds of a call, the median of so many after a few; or the mean of all of them, where one
    may wait for what others have ready.
    """
    for _ in range(_WARM_UP):
        call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begun = time.perf_counter()
    taken = []
    for _ in range(times):
        before = time.perf_counter()
        call()
        taken.append(time.perf_counter() - before)
    return (time.perf_counter() - begun) / times if whole else statistics.median(taken)
