"""Equal buffers on all ranks."""

from mmengine.dist import all_reduce_params
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from mmrbdc.registry import HOOKS


@HOOKS.register_module()
class AverageBuffersHook(Hook):
    """Average floating-point buffers (BatchNorm statistics) over the ranks at the end of every
    epoch.

    MMEngine's ``SyncBuffersHook`` does this for all buffers and fails on integer ones
    (``num_batches_tracked``), which are equal on all ranks anyway. Runs before the checkpoint is
    written.
    """

    priority = "ABOVE_NORMAL"

    def after_train_epoch(self, runner: Runner) -> None:
        """Average the model's buffers, and those of its moving average."""
        models = [runner.model]
        models += [hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook)]
        for model in models:
            buffers = [b for b in model.buffers() if b.is_floating_point()]
            if buffers:
                all_reduce_params(buffers, op="mean")
