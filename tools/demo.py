"""RBDC against training from scratch at equal FLOPs, then Mask R-CNN from both and from nothing.

    python tools/demo.py

Makes its data from scikit-learn's handwritten digits, trains everything on the CPU, prints one
table and leaves results.json and report.html in work_dirs/demo. Interrupted, the same command
goes on where it was. One seed is an illustration; docs/results has the comparison over several.
"""

import argparse
import os
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mmrbdc.cli import run_cli
from mmrbdc.commands.arguments import CommandParser

TOOLS = Path(__file__).resolve().parent
CONFIGS = TOOLS.parent / "configs"
PRETRAINED = {
    "rbdc": "rbdc/{family}-micro_2step_digits.py",
    "scratch": "baselines/{family}-micro_scratch_digits.py",
}
_PROGRESS = re.compile(r"(stage \d+ of \d+: \d.*)|(Epoch\(train\) .*?eta: [\d:]+)")


@dataclass(frozen=True)
class Size:
    """How much of everything, as options of the other tools."""

    data: tuple[str, ...] = ()
    pretraining: tuple[str, ...] = ()
    detection: tuple[str, ...] = ()


FULL = Size()
TINY = Size(
    data=("--digits", "60", "30", "30", "--small-train", "40", "--scenes", "8", "4", "4"),
    pretraining=("train_dataloader.num_workers=0", "val_dataloader.num_workers=0"),
    detection=(
        "train_cfg.max_epochs=1",
        "train_dataloader.num_workers=0",
        "train_dataloader.persistent_workers=False",
    ),
)
"""Proves the path in a minute; its figures mean nothing."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(None, __doc__)
    parser.add_argument("--out", type=Path, default=Path("work_dirs/demo"), help="where results go")
    parser.add_argument(
        "--data", type=Path, help="where the data are made (default data, or data/tiny)"
    )
    parser.add_argument("--family", choices=["deit", "resnet"], default="deit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--tiny", action="store_true", help="a minute's run that proves the path only"
    )
    args = parser.parse_args(argv)
    args.data = args.data or Path("data/tiny" if args.tiny else "data")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run every step, one after the other, and compare."""
    args = parse_args(argv)
    started = time.monotonic()
    steps = commands(args, TINY if args.tiny else FULL)
    for number, (title, command) in enumerate(steps, start=1):
        run(f"[{number}/{len(steps)}] {title}", command, args.out / "logs" / f"{number}.log")
    minutes = (time.monotonic() - started) / 60
    print(f"\ndemo finished in {minutes:.1f} minutes; open {args.out / 'report.html'}")


def commands(args: argparse.Namespace, size: Size) -> list[tuple[str, list[str]]]:
    """The demo as titles and command lines."""
    family, seed, out = args.family, str(args.seed), args.out
    make_data = ["make_demo_data.py", "--out", str(args.data), *size.data]
    steps = [("handwritten digits and scenes of them", make_data)]
    digits = args.data / ("digits" if family == "deit" else "digits_small")
    for method, config in PRETRAINED.items():
        path = str(CONFIGS / config.format(family=family))
        place = ["--work-dir", str(out / method)]
        options = [
            f"{split}_dataloader.dataset.data_root={digits}" for split in ("train", "val", "test")
        ]
        options += size.pretraining
        if size is TINY:
            stages = 3 if method == "rbdc" else 1
            options += [f"stages.{i}.epochs=1" for i in range(stages)]
        what = "RBDC, two steps" if method == "rbdc" else "the baseline from scratch"
        train = ["train.py", path, *place, "--seed", seed, "--resume", "--cfg-options", *options]
        steps.append((f"pretraining: {what}", train))
        test = ["test.py", path, *place, "--cfg-options", f"randomness.seed={seed}", *options]
        steps.append((f"testing {method} on unseen digits", test))
    scenes = args.data / "digit_scenes"
    for method in (*PRETRAINED, "random"):
        path = str(CONFIGS / f"mask-rcnn_{method}-{family}-micro_scenes.py")
        place = ["--work-dir", str(out / f"mask-rcnn_{method}")]
        options = [
            f"{split}_dataloader.dataset.data_root={scenes}" for split in ("train", "val", "test")
        ]
        options += [
            f"{split}_evaluator.ann_file={scenes}/annotations/instances_{split}.json"
            for split in ("val", "test")
        ]
        options += size.detection
        if method in PRETRAINED:
            name = Path(PRETRAINED[method].format(family=family)).stem
            options.append(f"model.backbone.init_cfg.checkpoint={out / method / name}.pth")
        train = ["train.py", path, *place, "--seed", seed, "--resume", "--cfg-options", *options]
        steps.append((f"Mask R-CNN on scenes, backbone: {method}", train))
        test = ["test.py", path, *place, "--cfg-options", *options]
        steps.append((f"testing Mask R-CNN, backbone: {method}", test))
    runs = [str(out / name) for name in PRETRAINED]
    runs += [str(out / f"mask-rcnn_{name}") for name in (*PRETRAINED, "random")]
    steps.append(("comparison", ["compare.py", *runs, "--out", str(out)]))
    return steps


def run(title: str, command: list[str], log: Path) -> None:
    """Run one tool; show its progress, keep its output in ``log``, stop the demo if it fails."""
    from mmrbdc.processes import interrupt_scripts, run_script

    started = time.monotonic()
    print(title, flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    # A core stays free for the data workers; threads beyond the cores cost tenfold.
    threads = int(os.environ.get("OMP_NUM_THREADS", max(1, (os.cpu_count() or 2) - 1)))
    final = command[0] in ("compare.py", "make_demo_data.py")
    log.write_text("")
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run_script, [str(TOOLS / command[0]), *command[1:]], log, threads)
        shown = started
        try:
            for line in lines(log, ended):
                found = _PROGRESS.search(line)
                if final:
                    print(line, end="", flush=True)
                elif " - mmrbdc - INFO - junction" in line:
                    print("      " + line.split(" - INFO - ")[1], end="", flush=True)
                elif found and time.monotonic() - shown > 20:
                    shown = time.monotonic()
                    print("      " + re.sub(r"\s+", " ", found.group()), flush=True)
        except KeyboardInterrupt:
            interrupt_scripts()
            raise
    code = ended.result()
    if code:
        tail = "".join(log.read_text().splitlines(keepends=True)[-15:])
        raise ValueError(
            f"{title} failed with code {code}; the end of {log}:\n{tail}\n"
            "Mend what it names and give the same command again: finished steps are kept"
        )
    if not final:
        print(f"      {time.monotonic() - started:.0f} s", flush=True)


def lines(log: Path, ended: Future) -> Iterator[str]:
    """The lines of a log as they come, until its writer has ended."""
    with log.open() as file:
        begun, last = "", False
        while not last:
            last = ended.done()
            *whole, begun = (begun + file.read()).split("\n")
            yield from (line + "\n" for line in whole)
            if not last:
                time.sleep(0.2)
        if begun:
            yield begun + "\n"


if __name__ == "__main__":
    run_cli(main)
