"""What a run was trained with and what its last validation found, as JSON for later readers."""

import json
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.engine.inputs.train_files import KEY
from mmrbdc.registry import HOOKS
from mmrbdc.weights import write_json

CONFIG_FILE = "train_config.json"
VAL_FILE = "val.json"


@HOOKS.register_module()
class TrainRecordHook(Hook):
    """Write ``train_config.json`` when training begins and ``val.json`` after each validation.

    MMEngine dumps a config into the work dir too, but testing writes that one again, without the
    parts that only training needs. ``train_config.json`` holds the config as it is used and the
    number of processes (``world_size``); its ``load_from`` is what the run was begun from, also
    after it was resumed from a checkpoint of its own; ``train_files`` has the SHA-256 of what it
    is trained on. ``val.json`` holds the newest validation's
    figures under their short names (``bbox_mAP``, 0 to 1) with the epoch and iteration.
    """

    leaves_weights = True

    def __init__(self) -> None:
        self.begun: dict[str, Any] | None = None  # the record of a resumed run's start
        self.files: dict[str, str] = {}  # see mmrbdc.engine.inputs.train_files

    def before_train(self, runner: Runner) -> None:
        """Write the config as it is used, on the main process."""
        if is_main_process():
            config = plain(runner.cfg)
            begun = config if self.begun is None else self.begun
            record = dict(config, load_from=begun.get("load_from"), resume=False)
            if self.files:
                record[KEY] = self.files
            write_json(Path(runner.work_dir) / CONFIG_FILE, record)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the figures, on the main process."""
        if is_main_process() and metrics:
            figures = {name.split("/")[-1]: value for name, value in metrics.items()}
            content = dict(epoch=runner.epoch, iter=runner.iter, **figures)
            write_json(Path(runner.work_dir) / VAL_FILE, content)


def plain(cfg: Config) -> dict[str, Any]:
    """A config and the number of processes as plain JSON types."""
    content = dict(cfg.to_dict(), world_size=get_world_size())
    return json.loads(json.dumps(content, default=str))
