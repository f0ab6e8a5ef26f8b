"""Every step of a run draws from a random state of its own."""

from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.registry import HOOKS
from mmrbdc.seeding import seed_all


@HOOKS.register_module()
class StepSeedsHook(Hook):
    """Seed Python, numpy and torch from (seed, epoch, rank) before an epoch loads its first batch,
    and from (seed, iteration, rank) before every step.

    What a step draws (the boxes and proposals that a detector samples, drop-path) then does not
    depend on what was drawn before it, so that a run which goes on takes the steps of an unbroken
    one. What pipelines draw has seeds of its own (:mod:`mmrbdc.datasets.loading.replay`).
    """

    priority = "VERY_HIGH"

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed what the first batch draws where no worker loads it."""
        seed_all("epoch", runner.seed, runner.epoch, get_rank())

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed what the step draws, and the batch that is loaded after it."""
        seed_all("step", runner.seed, runner.iter, get_rank())
