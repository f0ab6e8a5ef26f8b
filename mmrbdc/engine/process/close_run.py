"""What a finished run leaves behind in the process, and putting it away."""

import logging

from mmengine.runner import Runner


def close_run(runner: Runner) -> None:
    """Close a finished run's log files and visualizer and let go of its model and optimizer."""
    for handler in list(runner.logger.handlers):
        if isinstance(handler, logging.FileHandler):
            handler.close()
            runner.logger.removeHandler(handler)
    runner.visualizer.close()
    for loop in (runner._train_loop, runner._val_loop):
        iterator = getattr(getattr(loop, "dataloader", None), "_iterator", None)
        if iterator is not None:
            iterator._shutdown_workers()
    for name in (
        "model",
        "optim_wrapper",
        "_train_loop",
        "_val_loop",
        "param_schedulers",
        "_hooks",
    ):
        setattr(runner, name, None)
