"""Seconds and memory that the reading and judging of COCO annotations takes, at COCO's own size.

    python benchmarks/judge_coco.py --out docs/results/judge_coco.json

Makes a file like instances_train2017.json from random numbers: 860,000 objects on 117,000 images,
3 polygons for every 2 objects, 25 points a polygon, about 450 MB. A process of its own reads and
judges it, masks included, as training and the check do; a second one makes pycocotools' index of
it, as the data set does, and a third lets pycocotools alone read the file. A fourth does what a
detector's run does with one file: check, data set, metric; a fifth does it without what the check
keeps. Prints the seconds on the clock, of CPU time, and the peak memory of each process. Targets:
30 s and 3 GB for the first.
"""

import argparse
import contextlib
import io
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmrbdc.cli import run_cli
from mmrbdc.datasets.coco import index, judge, read_coco
from mmrbdc.datasets.coco.memory import forget, judged

TARGET_SECONDS, TARGET_BYTES = 30.0, 3e9
WIDTH, HEIGHT, CATEGORIES = 640, 480, 80


def main(argv: Sequence[str] | None = None) -> None:
    """Make the file, measure each way, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=860_000)
    parser.add_argument("--images", type=int, default=117_000)
    parser.add_argument("--points", type=int, default=25, help="of a polygon, on average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write a json")
    parser.add_argument("--way", choices=sorted(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help="measure this file instead of a made one")
    args = parser.parse_args(argv)
    if args.way:
        _measure(args.way, args.file)
        return
    with tempfile.TemporaryDirectory(prefix="mmrbdc-judge-") as name:
        path = args.file or _make(Path(name) / "annotations.json", args)
        size = path.stat().st_size
        print(f"{path.name}: {size / 1e6:.0f} MB")
        found = {way: _in_a_process(way, path) for way in WAYS}
    seconds, memory = found["judged"]["seconds"], found["judged"]["bytes"]
    print(
        f"read and judged in {seconds:.1f} s (target {TARGET_SECONDS:.0f}) with "
        f"{memory / 1e9:.2f} GB at the most (target {TARGET_BYTES / 1e9:.0f})"
    )
    if args.out:
        from machine import machine  # both import torch, which the measured processes must not

        from mmrbdc.weights import write_json

        write_json(args.out, dict(objects=args.objects, bytes=size, machine=machine(), **found))


def _in_a_process(way: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--way", way, "--file", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, cpu, memory = (float(value) for value in done.stdout.split())
    print(f"{way:12} {seconds:6.1f} s, {cpu:6.1f} s of CPU time, {memory / 1e9:.2f} GB")
    return dict(seconds=seconds, cpu_seconds=cpu, bytes=memory)


def _measure(way: str, path: Path) -> None:
    if way == "a run":
        import mmrbdc.weights.read  # noqa: F401  (imports torch, which a run has anyway)
    started, cpu = time.perf_counter(), time.process_time()
    WAYS[way](path)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(seconds, cpu, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _judged(path: Path) -> None:
    verdict = judge(read_coco(path), masks=True)
    if verdict.errors:
        raise ValueError(str(verdict.errors[0]))


def _indexed(path: Path) -> None:
    index(path, masks=True)


def _pycocotools(path: Path) -> None:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        COCO(str(path))


def _run(path: Path) -> None:
    judged(path, masks=True, keep=True)
    indices = [index(path, masks=True) for _ in ("data set", "metric")]
    forget()
    assert indices[0].anns.keys() == indices[1].anns.keys()


def _three_times(path: Path) -> None:
    _judged(path)
    indices = [index(path, masks=True) for _ in ("data set", "metric")]
    assert indices[0].anns.keys() == indices[1].anns.keys()


WAYS: dict[str, Callable[[Path], None]] = {
    "judged": _judged,
    "indexed": _indexed,
    "pycocotools": _pycocotools,
    "a run": _run,
    "without": _three_times,
}


def _make(path: Path, args: argparse.Namespace) -> Path:
    """Write a file of random objects, polygons of half to one and a half times ``points``."""
    rng = np.random.default_rng(args.seed)
    images = ",".join(
        f'{{"license":3,"file_name":"{n:012d}.jpg","height":{HEIGHT},"width":{WIDTH},"id":{n}}}'
        for n in range(1, args.images + 1)
    )
    names = ",".join(
        f'{{"supercategory":"thing","id":{n},"name":"thing {n}"}}' for n in range(1, CATEGORIES + 1)
    )
    with path.open("w") as file:
        file.write(f'{{"info":{{}},"images":[{images}],"categories":[{names}],"annotations":[')
        for number in range(1, args.objects + 1):
            parts = ",".join(_polygon(rng, args.points) for _ in range(1 + number % 2))
            x, y, width, height = rng.uniform((0, 0, 5, 5), (500, 350, 120, 120))
            file.write(
                f'{"," * (number > 1)}{{"segmentation":[{parts}],"area":{width * height:.4f},'
                f'"iscrowd":0,"image_id":{rng.integers(1, args.images + 1)},'
                f'"bbox":[{x:.2f},{y:.2f},{width:.2f},{height:.2f}],'
                f'"category_id":{rng.integers(1, CATEGORIES + 1)},"id":{number}}}'
            )
        file.write("]}")
    return path


def _polygon(rng: np.random.Generator, points: int) -> str:
    count = int(rng.integers(max(3, points // 2), points * 3 // 2 + 1))
    values = rng.uniform(0, HEIGHT, 2 * count).round(2).tolist()
    return f"[{','.join(map(str, values))}]"


if __name__ == "__main__":
    run_cli(main)
