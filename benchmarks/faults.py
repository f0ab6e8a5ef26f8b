"""Kill the micro protocol at random moments, resume it, and compare where it ends.

    python benchmarks/faults.py --kills 50 --out docs/results/faults.json

One run goes unbroken and is timed. Then, for every kill, a fresh run gets SIGKILL after a random
part of that time, is started again with --resume, and its final weights and those of every member
are compared with the unbroken run's, bit for bit. Prints the share of identical ends last.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from mmrbdc.cli import run_cli
from mmrbdc.datasets.made.digits import make_digits
from mmrbdc.weights import read_checkpoint, write_json

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "rbdc" / "deit-micro_2step_digits.py"
SHORT = [
    "stages.0.epochs=3",
    "stages.1.epochs=2.5",
    "stages.2.epochs=2",
    "train_dataloader.num_workers=1",
    "val_dataloader.num_workers=0",
    "default_hooks.logger.interval=10",
]
"""Lengths that make every moment of the protocol likely; all else is as shipped."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the trials, print each and the share, write the json."""
    parser = argparse.ArgumentParser(description="SIGKILL at random moments, then --resume.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--jobs", type=int, default=1, help="trials side by side")
    parser.add_argument("--out", help="json of the moments and ends")
    args = parser.parse_args(argv)
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="mmrbdc-faults-") as name:
        place = Path(name)
        make_digits(place / "data" / "digits", counts=dict(train=160, val=60, test=60))
        begun = time.monotonic()
        _run(place, "unbroken").wait()
        whole = time.monotonic() - begun
        expected = _weights(place / "unbroken")
        print(f"unbroken run: {whole:.1f} s, {len(expected)} tensors in all files", flush=True)
        moments = [draw.uniform(0, whole) for _ in range(args.kills)]
        with ThreadPoolExecutor(args.jobs) as pool:
            trials = list(pool.map(lambda item: _trial(place, *item, expected), enumerate(moments)))
    identical = sum(trial["identical"] for trial in trials)
    killed = sum(trial["killed"] for trial in trials)
    if args.out:
        command = (
            f"python benchmarks/faults.py --kills {args.kills} --seed {args.seed} "
            f"--jobs {args.jobs}"
        )
        write_json(
            args.out,
            dict(command=command, unbroken_s=round(whole, 1), identical=identical, trials=trials),
        )
    print(f"{killed} of {args.kills} runs were alive when killed")
    print(f"identical ends: {identical}/{args.kills}")
    if identical < args.kills:
        sys.exit(1)


def _run(place: Path, name: str, *more: str) -> subprocess.Popen:
    command = [sys.executable, ROOT / "tools" / "train.py", CONFIG, "--work-dir", name, *more]
    with open(place / f"{name}.log", "a") as log:
        return subprocess.Popen(
            [*map(str, command), "--cfg-options", *SHORT],
            cwd=place,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _trial(place: Path, number: int, moment: float, expected: dict) -> dict:
    name = f"trial{number}"
    process = _run(place, name)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    killed = process.wait() == -signal.SIGKILL
    found = _where(place / name)
    code = _run(place, name, "--resume").wait()
    identical = code == 0 and _equal(expected, _weights(place / name))
    print(
        f"kill {number + 1}: after {moment:5.1f} s ({found}), resumed: "
        f"{'identical' if identical else f'DIFFERENT (exit code {code})'}",
        flush=True,
    )
    if identical:
        shutil.rmtree(place / name)
    else:
        print((place / f"{name}.log").read_text()[-3000:], flush=True)
    return dict(moment_s=round(moment, 2), where=found, killed=killed, identical=identical)


def _where(work_dir: Path) -> str:
    """How far a killed run came, by what it left."""
    if not (work_dir / "plan.json").is_file():
        return "before its plan"
    stages = json.loads((work_dir / "plan.json").read_text())["stages"]
    begun = [row["name"] for row in stages if (work_dir / row["name"]).is_dir()]
    if not begun:
        return "before its first stage"
    checkpoints = sorted(path.name for path in (work_dir / begun[-1]).glob("epoch_*.pth"))
    return f"{begun[-1]}, {checkpoints[-1] if checkpoints else 'no checkpoint'}"


def _weights(work_dir: Path) -> dict[str, torch.Tensor]:
    paths = [*work_dir.glob("stage*/members/*.pth"), *work_dir.glob("*.pth")]
    return {
        f"{path.relative_to(work_dir)} {name}": tensor
        for path in sorted(paths)
        for name, tensor in read_checkpoint(path).state_dict.items()
    }


def _equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


if __name__ == "__main__":
    run_cli(main)
