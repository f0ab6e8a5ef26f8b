"""MMEngine's ``Runner`` with a log that says what is so, once."""

import copy
import logging
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.logging.logger import MMFormatter
from mmengine.optim import OptimWrapper
from torch import nn

from mmrbdc.config_errors import told_as_config_error
from mmrbdc.config_parts import type_name
from mmrbdc.datasets.loading.replay import is_replayable, replayable
from mmrbdc.datasets.loading.workers import end_workers_with_run
from mmrbdc.engine.hooks.step_seeds import StepSeedsHook
from mmrbdc.engine.process.precision import set_float32_precision
from mmrbdc.engine.stages.loop import StageLoop
from mmrbdc.engine.training.load_from import LoadFromRunner
from mmrbdc.weights import write_text

ENVIRONMENT_FILE = "environment.txt"
HOOKS_FILE = "hooks.txt"
INIT_FILE = "init_weights.txt"


_EPOCHS = "EpochBasedTrainLoop"
_PLACE_IN_CODE = "%(pathname)s - %(funcName)s - %(lineno)d - "
"""What MMEngine puts before the message of an error."""


class TrainingRunner(LoadFromRunner):
    """``Runner`` under whose ``auto_scale_lr`` the logged ``base_lr`` is the scaled one too.

    An optimizer of several groups has beside them the settings that a group without options of its
    own would have; schedulers move their learning rate with the groups', and the log calls it
    ``base_lr``. MMEngine scales the groups only.

    What it cannot build of its config is a :class:`mmrbdc.config_errors.ConfigError` that names the
    part. Its steps are those of :class:`mmrbdc.engine.hooks.step_seeds.StepSeedsHook`; in a
    protocol's stage whatever draws has seeds of its own. Its training data are drawn by keys
    (:mod:`mmrbdc.datasets.loading.replay`), so that it goes on where it was stopped.
    """

    _train_dataloader: Any
    _val_dataloader: Any
    _test_dataloader: Any

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """The run's logger; an error is told like a warning, without the file of the code."""
        logger = super().build_logger(*args, **kwargs)
        for formatter in (handler.formatter for handler in logger.handlers):
            if isinstance(formatter, MMFormatter):
                formatter.err_format = formatter.err_format.replace(_PLACE_IN_CODE, "")
        return logger

    def setup_env(self, env_cfg: dict) -> None:
        """MMEngine's environment, and how float32 is computed."""
        super().setup_env(env_cfg)
        set_float32_precision(dict(env_cfg=env_cfg))

    def train(self) -> nn.Module:
        """Train, from where a checkpoint left off if the run is resumed."""
        if not isinstance(self.train_loop, StageLoop):
            self.register_hook(StepSeedsHook())
        return super().train()

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
        """The loop of ``train_cfg``, which builds its loader: MMEngine's, but for one that counts
        epochs, which goes on in the middle of one.
        """
        self._train_dataloader = _ended_with_run(self._train_dataloader)
        with told_as_config_error("train_cfg", loop, within=_parts("train")):
            return super().build_train_loop(self._resumable(loop))

    def _resumable(self, loop: Any) -> Any:
        """The config of such a loop, and a loader of samples that can be replayed for any."""
        if not isinstance(self._train_dataloader, Mapping) or not isinstance(loop, Mapping):
            return loop
        self._train_dataloader = replayable(self._train_dataloader, self.seed)
        counts_epochs = loop.get("by_epoch") if "type" not in loop else type_name(loop) == _EPOCHS
        replayed = is_replayable(self._train_dataloader)
        if not counts_epochs or not replayed or {"type", "by_epoch"} <= loop.keys():
            return loop
        kept = {name: value for name, value in loop.items() if name not in ("type", "by_epoch")}
        return dict(kept, type="mmrbdc.ResumableLoop")

    def build_val_loop(self, loop: Any) -> Any:
        """The loop of ``val_cfg``, which builds its loader and evaluator."""
        self._val_dataloader = _ended_with_run(self._val_dataloader)
        with told_as_config_error("val_cfg", loop, within=_parts("val")):
            return super().build_val_loop(loop)

    def build_test_loop(self, loop: Any) -> Any:
        """The loop of ``test_cfg``, which builds its loader and evaluator."""
        self._test_dataloader = _ended_with_run(self._test_dataloader)
        with told_as_config_error("test_cfg", loop, within=_parts("test")):
            return super().build_test_loop(loop)

    def register_custom_hooks(self, hooks: Any) -> None:
        """The hooks of ``custom_hooks``."""
        with told_as_config_error("custom_hooks"):
            super().register_custom_hooks(hooks)

    def register_default_hooks(self, hooks: Any = None) -> None:
        """The hooks of ``default_hooks``; MMEngine's for checkpoints becomes ours, which keeps as
        many as MMEngine's would.
        """
        hooks = _with_own_checkpoints(hooks)
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


def _ended_with_run(loader: Any) -> Any:
    """A copy of a loader's config whose workers end with the run; a loader as it is."""
    if not isinstance(loader, MutableMapping):
        return loader
    loader = copy.deepcopy(loader)  # the runner's config is what the user gave
    end_workers_with_run(loader)
    return loader


def _with_own_checkpoints(hooks: Any) -> Any:
    """Default hooks that write checkpoints so that whatever kills the process leaves one; those
    that are written elsewhere than on a disk are left to MMEngine's hook.
    """
    given = (hooks or {}).get("checkpoint", dict(type="CheckpointHook", interval=1))
    stock = isinstance(given, Mapping) and type_name(given) == "CheckpointHook"
    elsewhere = stock and any(
        given.get(key) not in (None, dict(backend="local"))
        for key in ("backend_args", "file_client_args")
    )
    if not stock or elsewhere or "://" in str(given.get("out_dir")):
        return hooks
    own = {"max_keep_ckpts": -1, **given, "type": "mmrbdc.CheckpointHook"}
    return dict(hooks or {}, checkpoint=own)


def _parts(split: str) -> dict[str, str]:
    """What a loop builds by the runner's methods."""
    return {
        "build_dataloader": f"{split}_dataloader",
        "build_evaluator": f"{split}_evaluator",
    }


class StageRunner(TrainingRunner):
    """``TrainingRunner`` of a protocol's stage: one line for each of its long tables.

    They are in files of its work dir: ``config.py``, and of each start ``<start>/environment.txt``,
    ``<start>/hooks.txt`` and ``<start>/init_weights.txt``.
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """The run's logger, which leaves long tables to files."""
        logger = super().build_logger(*args, **kwargs)
        logger.addFilter(_Shortened(Path(self.work_dir) / "config.py", Path(self._log_dir)))
        return logger

    def _init_model_weights(self) -> None:
        """Leave to a file what MMEngine writes into the log of each parameter's initialisation."""
        file = Path(self._log_dir) / INIT_FILE
        handlers = self.logger.handlers
        kept = list(handlers)
        handlers[:] = [
            _OwnFile(file, handler) if isinstance(handler, logging.FileHandler) else handler
            for handler in kept
        ]
        try:
            super()._init_model_weights()
        finally:
            for handler in handlers:
                if isinstance(handler, _OwnFile):
                    handler.close()
            handlers[:] = kept
        self.logger.info(f"initialisation of each parameter: {file}")


class _Shortened(logging.Filter):
    """Puts a file's name in the place of the config, the environment and the table of hooks."""

    def __init__(self, config: Path, folder: Path) -> None:
        super().__init__()
        self.config = config
        self.folder = folder

    def filter(self, record: logging.LogRecord) -> bool:
        text = str(record.msg)
        head, _, body = text.partition("\n")
        if head == "Config:":
            record.msg = f"config: {self.config}"
        elif head.startswith("Hooks will be executed"):
            record.msg = f"hooks: {self._kept(HOOKS_FILE, body)}"
        elif "\nSystem environment:" in text:
            record.msg = f"environment: {self._kept(ENVIRONMENT_FILE, text.strip())}"
        return True

    def _kept(self, name: str, text: str) -> Path:
        if is_main_process():
            write_text(self.folder / name, text)
        return self.folder / name


class _OwnFile(logging.FileHandler):
    """Stands in for a log's file: records go there, what is written past them into another file.

    MMEngine writes the initialisation of parameters to a handler's stream itself.
    """

    def __init__(self, file: Path, log: logging.FileHandler) -> None:
        super().__init__(file, mode="w", encoding="utf-8")
        self.setLevel(log.level)
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        self.log.handle(record)
