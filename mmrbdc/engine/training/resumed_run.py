"""A run of MMEngine's own kind, not staged, that is begun or gone on with: what must be as it was,
and what its log says of its beginning and of an end before its end.
"""

import json
import logging
import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.runner import Runner

from mmrbdc.datasets.configs import stock_name
from mmrbdc.engine.configs.fingerprint import differences, listed, without_workers
from mmrbdc.engine.hooks.checkpoint import newest_readable_checkpoint, numbered_checkpoints
from mmrbdc.engine.hooks.train_record import CONFIG_FILE, TrainRecordHook, plain
from mmrbdc.engine.inputs.train_files import changed_files, training_files
from mmrbdc.engine.process.signals import in_main_thread

_OBSERVERS = frozenset(
    f"mmrbdc.{name}"
    for name in (
        "DetectorCostHook",
        "FiniteLossHook",
        "LedgerHook",
        "LoadReportHook",
        "PreemptionHook",
        "ProgressHook",
        "TrainRecordHook",
        "WallClockHook",
    )
)
"""Hooks that look at a run and change nothing of it."""

_LOOKING_ON = ("timer", "logger", "checkpoint", "visualization")
"""The same of MMEngine's ``default_hooks``."""

_SWITCHES = ("compile", "efficient_conv_bn_eval", "model_wrapper_cfg", "sync_bn")


@dataclass
class Entry:
    """What a work dir holds of a run.

    Args:
        newest: its newest readable checkpoint, from which the run goes on.
        begun: the config that it was started with, plain; ``None`` where it starts now, or where
            nobody kept it.
        lines: what to tell the user, with its level.
        files: what its training data are, see
            :func:`mmrbdc.engine.inputs.train_files.training_files`.
    """

    newest: Path | None = None
    begun: dict[str, Any] | None = None
    lines: list[tuple[int, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def enter_run(cfg: Config) -> Entry:
    """Look for a run in the config's work dir, and let ``cfg`` go on with it, or begin one.

    Args:
        cfg: prepared, with ``work_dir`` and ``resume``; ``resume`` and ``load_from`` are set.

    Raises:
        ValueError: there is a run and ``resume`` is not asked for, or what decides its weights was
            changed, in its config or in its training data.
    """
    folder = Path(cfg.work_dir)
    entry = Entry(files=training_files(cfg))
    tell = entry.lines.append
    logger = SimpleNamespace(warning=lambda text: tell((logging.WARNING, text)))
    entry.newest = newest_readable_checkpoint(folder, logger)
    if entry.newest is None:
        if cfg.get("resume"):
            weights = f", from the weights of {cfg.load_from}" if cfg.get("load_from") else ""
            tell((logging.INFO, f"nothing to resume in {folder}: starting anew{weights}"))
        cfg.resume = False
        return entry
    if not cfg.get("resume"):
        raise ValueError(
            f"{folder} holds a run already ({entry.newest.name}); add --resume to go on, or choose "
            "another --work-dir"
        )
    source, entry.begun = _record(folder, Path(cfg.filename or "config.py").name)
    if entry.begun is None:
        unknown = (
            f"{folder} does not say with what config its run was started (no {CONFIG_FILE}): "
            "whether it is the same now cannot be checked"
        )
        tell((logging.WARNING, unknown))
        entry.begun = plain(cfg)
    asked = plain(cfg)
    changed = differences(_deciding(entry.begun, folder), _deciding(asked, folder, entry.begun))
    if changed:
        raise ValueError(
            f"{folder} holds a run ({entry.newest.name}) that was started with another config "
            f"({source.name if source else ''}); it differs in{listed(changed)}\n"
            "--resume goes on with a run as it is: give it the config and options that it was "
            "started with. To train on in another way, or longer, begin a run from its weights: "
            f"another --work-dir with --cfg-options {shlex.quote(f'load_from={entry.newest}')}"
        )
    if other := changed_files(entry.begun, entry.files, folder):
        raise ValueError(other)
    barrier()  # no process may write the record before all have read it
    cfg.resume, cfg.load_from = True, str(entry.newest)
    tell((logging.INFO, f"resuming from {entry.newest}"))
    return entry


def keep_record(runner: Runner, entry: Entry) -> None:
    """Let the run's own log say how it begins, and its record what it was begun with."""
    for level, line in entry.lines:
        runner.logger.log(level, line)
    hooks = [hook for hook in runner.hooks if isinstance(hook, TrainRecordHook)]
    if not hooks:
        hooks = [TrainRecordHook()]
        runner.register_hook(hooks[0])
    hooks[0].begun, hooks[0].files = entry.begun, entry.files


@contextmanager
def end_logged(runner: Runner, *, take_sigterm: bool = True) -> Iterator[None]:
    """Note in the run's log what ends it before its end, and the newest checkpoint.

    Args:
        runner: whose training is done inside.
        take_sigterm: note SIGTERM too, by which the process ends as it would have ended; without
            it somebody else listens for it.
    """

    def note(what: str) -> None:
        newest = _newest_file(Path(runner.work_dir))
        runner.logger.error(
            f"{what} after {runner.iter} of {runner.max_iters} iterations; newest checkpoint: "
            + (f"{newest}; --resume goes on from there" if newest else "none")
        )

    with _noting_sigterm(note) if take_sigterm and in_main_thread() else _nothing():
        try:
            yield
        except SystemExit:  # whoever asks for it has said why
            raise
        except KeyboardInterrupt:
            note("interrupted (SIGINT)")
            raise
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0]
            note(f"ended by {type(error).__name__}{f': {reason}' if reason else ''}")
            raise


def _record(folder: Path, name: str) -> tuple[Path | None, dict[str, Any] | None]:
    """The config that a work dir's run was started with, and its file.

    Before there was ``train_config.json``, MMEngine's own dump was all that was kept; testing
    writes it again without the training's parts, which that of each start (``vis_data``) keeps.
    """
    record = folder / CONFIG_FILE
    if record.is_file():
        try:
            return record, json.loads(record.read_text())
        except ValueError as error:
            raise ValueError(
                f"{record} is damaged ({error}): whether the run was started with this config "
                "cannot be checked. Bring the file back, or remove it: --resume then goes by the "
                "config that MMEngine dumped there, or unchecked where there is none"
            ) from error
    for path in [folder / name, *sorted(folder.glob("*/vis_data/config.py"), reverse=True)]:
        if not path.is_file():
            continue
        try:
            dumped = Config.fromfile(path, import_custom_modules=False)
        except Exception:  # a config is code, it can fail in any way
            continue
        if dumped.get("optim_wrapper") and dumped.get("train_cfg"):
            content = plain(dumped)
            del content["world_size"]  # of now
            return path, content
    return None, None


def _deciding(
    config: dict[str, Any], folder: Path, begun: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What decides the weights of a run.

    Args:
        config: plain.
        folder: the run's work dir.
        begun: the record that it will be compared with; what that does not know is left out.
    """
    train_cfg = config.get("train_cfg") or {}
    hooks = config.get("default_hooks") or {}
    scaling = config.get("auto_scale_lr") or {}
    content = dict(
        model={k: v for k, v in config["model"].items() if k != "test_cfg"},
        data_preprocessor=config.get("data_preprocessor"),
        train_dataloader=without_workers(config["train_dataloader"]),
        optim_wrapper=config.get("optim_wrapper"),
        param_scheduler=config.get("param_scheduler"),
        train_cfg={
            key: value
            for key, value in train_cfg.items()
            if not key.startswith("val_") and key != "dynamic_intervals"
        },
        custom_hooks=[
            hook
            for hook in config.get("custom_hooks") or []
            if not (isinstance(hook, dict) and hook.get("type") in _OBSERVERS)
        ],
        default_hooks={name: hook for name, hook in hooks.items() if name not in _LOOKING_ON},
        auto_scale_lr=scaling if scaling.get("enable") else None,
        randomness=config.get("randomness"),
        load_from=config.get("load_from"),
        world_size=config.get("world_size"),
        **{name: config.get(name) for name in _SWITCHES},
    )
    known = config if begun is None else begun
    if "world_size" not in known:
        del content["world_size"]
    # The version before this one recorded the checkpoint that it resumed from as load_from.
    if str(known.get("load_from")).startswith(f"{folder}/"):
        del content["load_from"]
    return _same_readers(content)


def _same_readers(value: Any) -> Any:
    """Call our readers of images and data by the names of those in whose place they are put: they
    read the same, and differ in what they say of what they cannot read.
    """
    if isinstance(value, dict):
        return {key: _same_readers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_same_readers(entry) for entry in value]
    return stock_name(value)


def _newest_file(folder: Path) -> Path | None:
    for template in ("epoch_{}.pth", "iter_{}.pth"):
        if numbered := numbered_checkpoints(folder, template):
            return numbered[0][1]
    return None


@contextmanager
def _noting_sigterm(note: Any) -> Iterator[None]:
    owner = os.getpid()

    def end(number: int, frame: Any) -> None:
        if os.getpid() == owner:  # not a data worker that was forked from here
            note("ended by SIGTERM")
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
