"""MMEngine's ``Runner`` with a log that says what is so, once."""

import logging
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper

from mmrbdc.config_errors import told_as_config_error
from mmrbdc.engine.load_from import LoadFromRunner
from mmrbdc.weights import write_text

HOOKS_FILE = "hooks.txt"


class TrainingRunner(LoadFromRunner):
    """``Runner`` under whose ``auto_scale_lr`` the logged ``base_lr`` is the scaled one too.

    An optimizer of several groups has beside them the settings that a group without options of its
    own would have; schedulers move their learning rate with the groups', and the log calls it
    ``base_lr``. MMEngine scales the groups only.

    What it cannot build of its config is a :class:`mmrbdc.config_errors.ConfigError` that names the
    part.
    """

    def build_model(self, model: Any) -> Any:
        """The model of ``model``."""
        with told_as_config_error("model", model):
            return super().build_model(model)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """The optimizer of ``optim_wrapper``."""
        with told_as_config_error("optim_wrapper", optim_wrapper):
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """The schedules of ``param_scheduler``."""
        with told_as_config_error("param_scheduler", scheduler):
            return super().build_param_scheduler(scheduler)

    def build_train_loop(self, loop: Any) -> Any:
        """The loop of ``train_cfg``, which builds its loader."""
        with told_as_config_error("train_cfg", loop, within=_parts("train")):
            return super().build_train_loop(loop)

    def build_val_loop(self, loop: Any) -> Any:
        """The loop of ``val_cfg``, which builds its loader and evaluator."""
        with told_as_config_error("val_cfg", loop, within=_parts("val")):
            return super().build_val_loop(loop)

    def build_test_loop(self, loop: Any) -> Any:
        """The loop of ``test_cfg``, which builds its loader and evaluator."""
        with told_as_config_error("test_cfg", loop, within=_parts("test")):
            return super().build_test_loop(loop)

    def register_custom_hooks(self, hooks: Any) -> None:
        """The hooks of ``custom_hooks``."""
        with told_as_config_error("custom_hooks"):
            super().register_custom_hooks(hooks)

    def register_default_hooks(self, hooks: Any = None) -> None:
        """The hooks of ``default_hooks``."""
        with told_as_config_error("default_hooks"):
            super().register_default_hooks(hooks)

    def scale_lr(self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None) -> None:
        """Scale the groups' learning rates, and the base's with them, to the real batch."""
        base = getattr(optim_wrapper, "base_param_settings", None)
        groups = optim_wrapper.param_groups if base else []
        before = next((group["lr"] for group in groups if group["lr"]), None)
        position = next((i for i, group in enumerate(groups) if group["lr"]), 0)
        super().scale_lr(optim_wrapper, auto_scale_lr)
        if base and before:
            base["lr"] *= optim_wrapper.param_groups[position]["lr"] / before


def _parts(split: str) -> dict[str, str]:
    """What a loop builds by the runner's methods."""
    return {
        "build_dataloader": f"{split}_dataloader",
        "build_evaluator": f"{split}_evaluator",
    }


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
