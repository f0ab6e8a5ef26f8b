"""Training runs that take turns: what the speed benchmarks share.

Every run is an ordinary one in a process of its own. A hook holds it after a given number of
iterations until its next turn, so two runs alternate in small blocks under the same load, and
paired ratios are fair on a machine that others use too. There are no data workers: loading counts
in full, also in CPU time.
"""

import itertools
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from machine import machine
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmrbdc.engine.configs.stage_view import stage_config
from mmrbdc.methods import parse_protocol
from mmrbdc.registry import HOOKS, RUNNERS

CLASSES = 10
FOREVER = 10**6
"""Iterations of a run that is stopped from outside."""


@HOOKS.register_module()
class TurnHook(Hook):
    """Train while it is this run's turn, and report the seconds that a turn took."""

    priority = "LOWEST"
    turns: Connection
    """The parent's end sends the length of a turn, or ``None`` to end the run."""

    def before_train(self, runner: Runner) -> None:
        """Wait for the first turn."""
        self._wait()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """At a turn's end, report (wall seconds, CPU seconds) and wait for the next."""
        self.left -= 1
        if self.left:
            return
        wall, cpu = self.started
        self.turns.send((time.perf_counter() - wall, time.process_time() - cpu))
        self._wait()

    def _wait(self) -> None:
        self.left = self.turns.recv()
        if self.left is None:
            raise SystemExit
        self.started = time.perf_counter(), time.process_time()


def staged_run(cfg: Config) -> None:
    """Train by mmrbdc's own runner."""
    RUNNERS.build(cfg).train()


def stock_run(cfg: Config) -> None:
    """Train one model of the first stage by MMPretrain and MMEngine alone.

    Model, data, optimizer, schedule and hooks are the recipe's; nothing of mmrbdc runs.
    """
    init_default_scope("mmpretrain")
    stock = stage_config(cfg, parse_protocol(cfg).stages[0])
    for key in ("runner_type", "stages", "protocol", "lockstep"):
        stock.pop(key, None)
    stock_pipeline(stock.train_dataloader.dataset.pipeline)
    stock.train_dataloader.collate_fn = dict(type="default_collate")
    stock.train_cfg = dict(by_epoch=True, max_epochs=FOREVER)
    stock.default_hooks.checkpoint = dict(type="CheckpointHook", interval=FOREVER)
    stock.randomness = dict(seed=0)
    stock.work_dir = str(Path(cfg.work_dir) / "stock")
    Runner.from_cfg(stock).train()


def stock_pipeline(pipeline: list[dict]) -> None:
    """Make the crop of a pipeline MMPretrain's, resized by Pillow; in place."""
    for step in pipeline:
        if step["type"] == "mmrbdc.RandomResizedCrop":
            step.update(type="RandomResizedCrop", backend="pillow")
            step.pop("dct_scaling", None)


RUNS: dict[str, Callable[[Config], None]] = dict(staged=staged_run, stock=stock_run)


def benchmark_config(base: Path, folder: Path, batch_size: int, stages: list[dict]) -> Config:
    """One of the project's ImageNet configs on ``folder``, to be stopped from outside."""
    cfg = Config.fromfile(str(base))
    for split, key in itertools.product(("val", "test"), ("cfg", "dataloader", "evaluator")):
        cfg[f"{split}_{key}"] = None
    cfg.train_dataloader.update(
        batch_size=batch_size,
        num_workers=0,
        persistent_workers=False,
    )
    cfg.train_dataloader.sampler = dict(type="DefaultSampler", shuffle=True)
    cfg.train_dataloader.dataset.data_root = str(folder / "images")
    cfg.data_preprocessor.num_classes = cfg.model.head.num_classes = CLASSES
    cfg.stages = stages
    cfg.default_hooks.checkpoint.interval = FOREVER
    cfg.custom_hooks = [dict(type="mmrbdc.TurnHook")]
    cfg.work_dir = str(folder / "work_dir")
    cfg.log_level = "WARNING"
    cfg.env_cfg.mp_cfg.mp_start_method = "spawn"  # as this process was started
    cfg.pop("auto_scale_lr", None)
    return cfg


def write_jpegs(folder: Path, count: int, size: tuple[int, int] = (500, 375)) -> None:
    """``count`` photographs' worth of JPEG, ``size`` is (width, height): smooth colours with grain,
    about 70 kB each at 500 x 375.
    """
    draw = np.random.default_rng(0)
    for number in range(count):
        path = folder / "images" / "train" / f"class{number % CLASSES}" / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = draw.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        image = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        image = np.clip(image + draw.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 90])


def take_turns(
    cfg: Config, turns: Mapping[str, int], *, repeats: int, threads: int
) -> dict[str, list[tuple[float, float]]]:
    """Let the runs of ``RUNS`` alternate, after one turn each that is not counted.

    Args:
        cfg: the staged config.
        turns: iterations of one turn of every run.
        repeats: turns of every run; each repeat starts with the other run.
        threads: of every run.

    Returns:
        (wall seconds, CPU seconds) of every turn, by run.
    """
    context = multiprocessing.get_context("spawn")
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in turns}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.py"
        cfg.dump(str(file))
        ends, processes = {}, []
        for name in turns:
            ends[name], theirs = context.Pipe()
            arguments = (name, str(file), theirs, threads)
            processes.append(context.Process(target=_child, args=arguments, daemon=True))
            processes[-1].start()
            theirs.close()
        names = list(turns)
        for repeat in range(repeats + 1):
            for name in names if repeat % 2 else names[::-1]:
                ends[name].send(turns[name])
                took = ends[name].recv()
                if repeat:
                    seconds[name].append(took)
        for end, process in zip(ends.values(), processes, strict=True):
            end.send(None)
            process.join()
    return seconds


def _child(name: str, file: str, turns: Connection, threads: int) -> None:
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    TurnHook.turns = turns
    RUNS[name](Config.fromfile(file))


def report(
    title: str,
    seconds: Mapping[str, list[tuple[float, float]]],
    turns: Mapping[str, int],
    *,
    target: float,
    out: Path | None,
    settings: Mapping[str, Any],
) -> None:
    """Print medians and the median of paired ratios, staged over stock; write ``out``."""
    result: dict[str, Any] = dict(title=title, target=target, settings=dict(settings), turns=turns)
    for position, clock in enumerate(("wall", "cpu")):
        each = {name: [turn[position] for turn in seconds[name]] for name in turns}
        ratios = [a / b for a, b in zip(each["staged"], each["stock"], strict=True)]
        quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        per_iteration = {name: statistics.median(each[name]) / turns[name] for name in turns}
        result[clock] = dict(
            ratio=statistics.median(ratios),
            quartiles=[quartiles[0], quartiles[2]],
            ratios=ratios,
            seconds_per_iteration=per_iteration,
        )
        speeds = ", ".join(
            f"{name} {value * 1e3:.1f} ms an iteration" for name, value in per_iteration.items()
        )
        print(
            f"{clock:4}: {speeds}; ratio {result[clock]['ratio']:.3f} "
            f"(quartiles {quartiles[0]:.3f} to {quartiles[2]:.3f}, {len(ratios)} pairs)"
        )
    result["machine"] = machine()
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
    print(
        f"{title}: ratio {result['wall']['ratio']:.3f} wall, {result['cpu']['ratio']:.3f} CPU "
        f"(target: at most {target})"
    )
