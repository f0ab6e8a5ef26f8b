"""MMEngine's ``Runner`` with a log that says what is so, once."""

import logging
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mmrbdc.weights import write_text

HOOKS_FILE = "hooks.txt"


class TrainingRunner(Runner):
    """``Runner`` under whose ``auto_scale_lr`` the logged ``base_lr`` is the scaled one too.

    An optimizer of several groups has beside them the settings that a group without options of its
    own would have; schedulers move their learning rate with the groups', and the log calls it
    ``base_lr``. MMEngine scales the groups only.
    """

    def scale_lr(self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None) -> None:
        """Scale the groups' learning rates, and the base's with them, to the real batch."""
        base = getattr(optim_wrapper, "base_param_settings", None)
        groups = optim_wrapper.param_groups if base else []
        before = next((group["lr"] for group in groups if group["lr"]), None)
        position = next((i for i, group in enumerate(groups) if group["lr"]), 0)
        super().scale_lr(optim_wrapper, auto_scale_lr)
        if base and before:
            base["lr"] *= optim_wrapper.param_groups[position]["lr"] / before


class StageRunner(TrainingRunner):
    """``TrainingRunner`` of a protocol's stage: one line for its config and one for its hooks.

    Both are in files of its work dir: ``config.py`` and ``<start>/hooks.txt``.
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """The run's logger, which leaves long tables to files."""
        logger = super().build_logger(*args, **kwargs)
        logger.addFilter(_Shortened(Path(self.work_dir) / "config.py", Path(self._log_dir)))
        return logger


class _Shortened(logging.Filter):
    """Puts the name of a file in the place of the config and the table of hooks."""

    def __init__(self, config: Path, folder: Path) -> None:
        super().__init__()
        self.config = config
        self.hooks = folder / HOOKS_FILE

    def filter(self, record: logging.LogRecord) -> bool:
        head, _, body = str(record.msg).partition("\n")
        if head == "Config:":
            record.msg = f"config: {self.config}"
        elif head.startswith("Hooks will be executed"):
            if is_main_process():
                write_text(self.hooks, body)
            record.msg = f"hooks: {self.hooks}"
        return True
