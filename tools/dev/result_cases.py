"""The micro runs by which two commits are compared, each cut to seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_POLL_S = 0.05
_LONGEST_S = 1800
_DATA = ["--digits", "100", "20", "20", "--small-train", "60", "--scenes", "8", "4", "4"]
_IN_PROCESS = {
    f"{split}_dataloader.{key}": value
    for split in ("train", "val", "test")
    for key, value in (("num_workers", 0), ("persistent_workers", False))
}
_DEIT = {"model.backbone.arch.num_layers": 2, "train_dataloader.batch_size": 8, **_IN_PROCESS}
_RESNET = {
    "model.backbone.depth": 50,
    "model.backbone.base_channels": 8,
    "model.backbone.stem_channels": 8,
    "model.head.in_channels": 256,
    "train_dataloader.batch_size": 8,
    **_IN_PROCESS,
}
_COUPLED, _WIDENED = [(4, "1/4"), (2, "1/2"), (1, 1)], [(1, "1/2"), (1, 1)]
_TWO, _INNER = [(2, "1/2"), (1, 1)], [(1, 1, "1/2"), (1, 1)]
_SMALLER = [dict(members=2, width="1/2", img_size=24, depth="1/2"), dict(members=1, width=1)]
STUDIES = {
    "deit": (
        "configs/baselines/deit-micro_scratch_digits.py",
        _DEIT,
        {
            "rbdc": dict(stages=_COUPLED),
            "scratch": {},
            "net2net": dict(stages=_WIDENED),
            "mixture-growth": dict(stages=_TWO),
            "gradmax": dict(stages=_INNER),
            "reinit": dict(stages=_WIDENED),
            "smaller": dict(method="rbdc", stages=_SMALLER),
        },
    ),
    "resnet": (
        "configs/baselines/resnet-micro_scratch_digits.py",
        _RESNET,
        {"rbdc": dict(stages=_TWO), "scratch": {}, "net2net": dict(stages=_WIDENED)},
    ),
}
"""Name -> recipe, options, methods."""

PROTOCOL = "configs/rbdc/deit-micro_2step_digits.py"
DETECTOR = "configs/mask-rcnn_random-deit-micro_scenes.py"
CASES = (*STUDIES, "killed", "detector")


class CaseError(Exception):
    """A run of a commit failed; the message names it and its log."""


def run_case(name: str, checkout: Path, place: Path) -> Path:
    """Run one case on the code of a checkout and return the folder of its results.

    Args:
        name: of ``CASES``.
        checkout: the code.
        place: where data, logs and work dirs go; the same name on both sides keeps paths alike.

    Raises:
        CaseError: a command failed.
    """
    place.mkdir(parents=True, exist_ok=True)
    run = _Run(checkout, place)
    if not (place / "data").is_dir():
        run("data", "make_demo_data.py", *_DATA)
    folder = Path("results") / name
    if name in STUDIES:
        _run_study(run, name, folder)
    elif name == "killed":
        _run_killed(run, folder)
    else:
        options = ["train_dataloader.batch_size=2", "model.test_cfg.rcnn.score_thr=0.0"]
        options += ["train_cfg.max_epochs=1", "train_cfg.val_interval=1", *_pairs(_IN_PROCESS)]
        arguments = [DETECTOR, "--work-dir", str(folder), "--cfg-options", *options]
        run(name, "train.py", *arguments)
        run(name, "test.py", *arguments)
    return place / folder


class _Run:
    """Calls tools of a checkout in a folder, on one thread, each with a log of its own."""

    def __init__(self, checkout: Path, place: Path) -> None:
        self.checkout = checkout
        self.place = place

    def start(self, log: str, tool: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(self.checkout / "tools" / tool), *arguments]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        env = {**os.environ, **threads, "PYTHONPATH": str(self.checkout)}
        (self.place / "configs").exists() or (self.place / "configs").symlink_to(
            self.checkout / "configs"
        )
        with (self.place / f"{log}.log").open("ab") as file:
            return subprocess.Popen(
                command, cwd=self.place, env=env, stdout=file, stderr=file, start_new_session=True
            )

    def __call__(self, log: str, tool: str, *arguments: str) -> None:
        code = self.start(log, tool, *arguments).wait(_LONGEST_S)
        if code:
            raise CaseError(
                f"tools/{tool} of {self.checkout} ended with code {code}; see "
                f"{self.place / log}.log"
            )


def _pairs(options: dict[str, object]) -> list[str]:
    return [f"{key}={value}" for key, value in options.items()]


def _run_study(run: _Run, name: str, folder: Path) -> None:
    recipe, options, methods = STUDIES[name]
    study = dict(
        recipe=recipe,
        options={"protocol.train_samples": 100, "protocol.reference_epochs": 4, **options},
        seeds=[0],
        budgets=[1.0],
        methods=methods,
    )
    config = run.place / f"{name}.py"
    config.write_text(f"study = {study!r}\n")
    run(name, "study.py", config.name, "--work-dir", str(folder))


def _run_killed(run: _Run, folder: Path) -> None:
    """A protocol that is killed in its second stage and resumed."""
    options = {
        **_DEIT,
        **{f"stages.{i}.epochs": epochs for i, epochs in enumerate((2, 2, 1))},
        "train_cfg.val_interval": 1,
    }
    arguments = [PROTOCOL, "--work-dir", str(folder), "--cfg-options", *_pairs(options)]
    process = run.start("killed", "train.py", *arguments)
    started = time.monotonic()
    while not any((run.place / folder).glob("stage1_*/*.pth")):
        if process.poll() is not None or time.monotonic() - started > _LONGEST_S:
            raise CaseError(f"the run to be killed ended by itself; see {run.place}/killed.log")
        time.sleep(_POLL_S)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    run("killed", "train.py", *arguments, "--resume")
    run("killed", "test.py", *arguments)
