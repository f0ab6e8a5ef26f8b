"""Kill runs at random moments, resume them, and compare where they end.

    python benchmarks/faults.py --kills 50 --out docs/results/faults.json
    python benchmarks/faults.py --what detector --kills 50 --out docs/results/faults_detector.json
    python benchmarks/faults.py --what study --kills 50 --out docs/results/faults_study.json
    python benchmarks/faults.py --ranks 2 --kills 20 --out docs/results/faults_two_ranks.json

One run goes unbroken and is timed. Then, for every kill, a fresh run gets SIGKILL after a random
part of that time, is started again with --resume, and its final weights and those of every member
are compared with the unbroken run's, bit for bit. Of two processes that train together one or both
are killed, in turns. No process of a killed run may be there when it is resumed. Prints the share
of identical ends last. --out is written after every trial; the same command, also with more
--kills, goes on behind the trials that are in it.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from mmrbdc.cli import run_cli
from mmrbdc.datasets.made.digits import make_digits
from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.weights import read_checkpoint, write_json

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = ROOT / "configs" / "rbdc" / "deit-micro_2step_digits.py"
DETECTOR = ROOT / "configs" / "mask-rcnn_random-deit-micro_scenes.py"
EPOCHS = 12
"""Of a detector: starting it takes as long as these."""
WORKERS = [
    "train_dataloader.num_workers=1",
    "val_dataloader.num_workers=0",
    "val_dataloader.persistent_workers=False",
]
SHORT = {
    "pretraining": [
        "stages.0.epochs=3",
        "stages.1.epochs=2.5",
        "stages.2.epochs=2",
        "default_hooks.logger.interval=10",
        *WORKERS,
    ],
    "detector": [
        f"train_cfg.max_epochs={EPOCHS}",
        "train_cfg.val_interval=4",
        "default_hooks.logger.interval=1",
        "train_dataloader.dataset.pipeline.2.type=RandomResize",
        "train_dataloader.dataset.pipeline.2.scale=[(96,96),(160,160)]",
        "model.data_preprocessor.pad_size_divisor=32",
        *WORKERS,
    ],
}
"""Lengths that make every moment of the run likely, and sizes that a detector's workers draw; all
else is as shipped.
"""
STUDY = """
study = dict(
    recipe={recipe!r},
    options={{
        "protocol.train_samples": 160,
        "protocol.reference_epochs": 4,
        "train_dataloader.num_workers": 0,
        "train_dataloader.persistent_workers": False,
    }},
    seeds=[0],
    budgets=[1.0],
    methods={{"scratch": {{}}, "rbdc": dict(stages=[(2, "1/2"), (1, 1)])}},
)
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the trials, print each and the share, write the json."""
    parser = argparse.ArgumentParser(description="SIGKILL at random moments, then --resume.")
    parser.add_argument("--what", choices=[*SHORT, "study"], default="pretraining")
    parser.add_argument("--ranks", type=int, default=1, help="processes that train together")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--jobs", type=int, default=1, help="trials side by side")
    parser.add_argument("--out", help="json of the moments and ends")
    args = parser.parse_args(argv)
    record = Record(args)
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="mmrbdc-faults-") as name:
        kind = Kind(args.what, args.ranks, Path(name))
        kind.prepare()
        begun = time.monotonic()
        if code := kind.run("unbroken").wait():
            sys.exit(f"the unbroken run ended with {code}: {kind.log('unbroken')}")
        whole = time.monotonic() - begun
        expected = kind.weights("unbroken")
        print(f"unbroken run: {whole:.1f} s, {len(expected)} tensors in all files", flush=True)
        moments = [draw.uniform(0, whole) for _ in range(args.kills)]
        left = [*enumerate(moments)][len(record.trials) :]
        with ThreadPoolExecutor(args.jobs) as pool:
            for trial in pool.map(lambda item: _trial(kind, *item, expected), left):
                record.add(trial, whole)
    identical = sum(trial["identical"] for trial in record.trials)
    killed = sum(trial["killed"] for trial in record.trials)
    print(f"{killed} of {args.kills} runs were alive when killed")
    print(f"identical ends: {identical}/{args.kills}")
    if identical < args.kills:
        sys.exit(1)


class Record:
    """The trials of a command, in its ``--out`` as soon as they are made.

    Args:
        args: the command's arguments. Trials of the same kind, ranks and seed that stand in
            ``out`` are kept.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.out = args.out
        same = f"python benchmarks/faults.py --what {args.what} --ranks {args.ranks} "
        self.command = f"{same}--kills {args.kills} --seed {args.seed} --jobs {args.jobs}"
        self.trials: list[dict] = []
        if args.out and Path(args.out).exists():
            before = json.loads(Path(args.out).read_text())
            if (
                not before["command"].startswith(same)
                or f"--seed {args.seed} " not in before["command"]
            ):
                sys.exit(f"{args.out} is from another command: {before['command']}")
            self.trials = before["trials"][: args.kills]

    def add(self, trial: dict, whole: float) -> None:
        """Write a trial down."""
        self.trials.append(trial)
        if self.out:
            identical = sum(trial["identical"] for trial in self.trials)
            record = dict(command=self.command, unbroken_s=round(whole, 1), identical=identical)
            write_json(self.out, dict(record, trials=self.trials))


@dataclass(frozen=True)
class Kind:
    """Runs of one kind, side by side in a folder.

    Args:
        what: ``'pretraining'``, ``'detector'`` or ``'study'``.
        ranks: processes that train together.
        place: the folder.
    """

    what: str
    ranks: int
    place: Path

    def prepare(self) -> None:
        """Make the data, and a study's config a run."""
        if self.what == "detector":
            make_scenes(self.place / "data" / "digit_scenes", counts=dict(train=24, val=4, test=2))
        else:
            make_digits(self.place / "data" / "digits", counts=dict(train=160, val=60, test=60))

    def run(self, name: str, *more: str) -> subprocess.Popen:
        """Start a run in a session of its own."""
        tools = ROOT / "tools"
        if self.what == "study":
            recipe = ROOT / "configs" / "baselines" / "deit-micro_scratch_digits.py"
            config = self.place / f"{name}.py"
            config.write_text(STUDY.format(recipe=str(recipe)))
            command = [sys.executable, tools / "study.py", config, *more]
        else:
            config = DETECTOR if self.what == "detector" else PROTOCOL
            start = [sys.executable, tools / "train.py", config]
            if self.ranks > 1:
                start = [tools / "dist_train.sh", config, str(self.ranks)]
            options = ["--cfg-options", *SHORT[self.what]]
            command = [*start, "--work-dir", name, *more, *options]
        with open(self.place / f"{name}.log", "a") as log:
            return subprocess.Popen(
                [*map(str, command)],
                cwd=self.place,
                env={**os.environ, "PYTHON": sys.executable},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, process: subprocess.Popen, number: int) -> None:
        """SIGKILL to the run; of several processes to one, or to the launcher, in turns."""
        ranks = [pid for pid in _session(process.pid) if _is_rank(pid)]
        if self.ranks > 1 and number % 2 == 0 and ranks:
            os.kill(ranks[number // 2 % len(ranks)], signal.SIGKILL)
        else:
            process.kill()

    def folder(self, name: str) -> Path:
        """Where a run leaves its files."""
        study = self.place / "work_dirs" / "studies" / name
        return study if self.what == "study" else self.place / name

    def log(self, name: str) -> str:
        """The end of what it printed."""
        return (self.place / f"{name}.log").read_text()[-3000:]

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        """All tensors of all files that a run leaves at its end."""
        folder = self.folder(name)
        paths = [p for p in folder.rglob("*.pth") if "grown" not in p.parts and not _passing(p)]
        if self.what == "detector":
            paths = [folder / f"epoch_{EPOCHS}.pth"]
        return {
            f"{path.relative_to(folder)} {key}": tensor
            for path in sorted(paths)
            for key, tensor in read_checkpoint(path).state_dict.items()
        }


def _passing(path: Path) -> bool:
    """Whether a checkpoint of a stage: another may be the newest in a resumed one."""
    return path.name.startswith("epoch_")


def _session(session: int) -> list[int]:
    """Processes of a session that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


def _is_rank(pid: int) -> bool:
    """Whether a process is one of those that ``torchrun`` started."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        status = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return b"--launcher" in words and b"\0LOCAL_RANK=" in status


def _left_over(session: int, seconds: float) -> list[int]:
    """Processes of a session that are still there after so long."""
    end = time.monotonic() + seconds
    while (there := _session(session)) and time.monotonic() < end:
        time.sleep(0.05)
    return there


def _trial(kind: Kind, number: int, moment: float, expected: dict) -> dict:
    name = f"trial{number}"
    process = kind.run(name)
    killed = False
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        kind.kill(process, number)
        killed = True
    process.wait()
    left = _left_over(process.pid, 60 if kind.ranks > 1 or kind.what == "study" else 10)
    found = _where(kind.folder(name))
    code = kind.run(name, "--resume").wait() if not left else None
    identical = code == 0 and _equal(expected, kind.weights(name))
    ended = "identical" if identical else f"DIFFERENT (exit code {code}, left over {left})"
    print(f"kill {number + 1}: after {moment:5.1f} s ({found}), resumed: {ended}", flush=True)
    if identical:
        shutil.rmtree(kind.folder(name))
    else:
        print(kind.log(name), flush=True)
    return dict(moment_s=round(moment, 2), where=found, killed=killed, identical=identical)


def _where(folder: Path) -> str:
    """How far a killed run came, by the newest checkpoint or member that it left."""
    files = sorted(folder.rglob("*.pth"), key=lambda path: path.stat().st_mtime)
    if files:
        return str(files[-1].relative_to(folder))
    return "no checkpoint" if folder.is_dir() else "before its work dir"


def _equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


if __name__ == "__main__":
    run_cli(main)
