"""A run that begins in the middle of its schedule."""

from mmengine.hooks import Hook
from mmengine.optim.scheduler import _ParamScheduler
from mmengine.runner import Runner

from mmrbdc.registry import HOOKS


@HOOKS.register_module()
class ScheduleStartHook(Hook):
    """Let the schedulers take the steps of iterations that other runs have trained.

    For stages that share one schedule. A resumed run has them in its checkpoint.

    Args:
        iters: iterations of the schedule in front of this run.
    """

    def __init__(self, iters: int) -> None:
        self.iters = iters

    def before_train(self, runner: Runner) -> None:
        """Step them, unless the run goes on from a checkpoint."""
        if runner.iter > 0:
            return
        schedulers = runner.param_schedulers or []
        lists = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
        for scheduler in [one for some in lists for one in some]:
            assert isinstance(scheduler, _ParamScheduler)
            for _ in range(self.iters):
                scheduler.step()
