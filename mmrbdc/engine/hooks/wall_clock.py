"""The time a run has trained, restarts included."""

import time
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.registry import HOOKS
from mmrbdc.weights import write_json


@HOOKS.register_module()
class WallClockHook(Hook):
    """Keep the training time in every checkpoint and write it, with the seed, to ``wall.json``.

    After a kill the clock goes on from the checkpoint: time that was lost is not counted.
    """

    leaves_weights = True

    def __init__(self) -> None:
        self._before = 0.0
        self._started = 0.0

    @property
    def wall_s(self) -> float:
        """Seconds of training so far, validation included."""
        return self._before + time.monotonic() - self._started

    def before_train(self, runner: Runner) -> None:
        """Start the clock, from the checkpoint's time if there is one."""
        self._before = runner.message_hub.get_info("wall_s", 0.0) if runner.iter > 0 else 0.0
        self._started = time.monotonic()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Note the time for the checkpoint."""
        runner.message_hub.update_info("wall_s", self.wall_s)

    def after_train(self, runner: Runner) -> None:
        """Write ``wall.json``."""
        if is_main_process():
            content = dict(wall_s=self.wall_s, seed=runner.cfg.get("randomness", {}).get("seed"))
            write_json(Path(runner.work_dir) / "wall.json", content)
