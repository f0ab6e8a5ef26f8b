"""Images a second and core of the ImageNet pipeline, against MMPretrain's own.

    python benchmarks/loading.py --out docs/results/loading.json

Loads 500 x 375 JPEGs of about 70 kB through DeiT's training pipeline of
configs/_base_/datasets/imagenet_deit.py, at 224 px and as a stage of img_size=112 has it, in turns:
stock MMPretrain (Pillow's resize), ours with Pillow's resize (the same pixels), with torch's (the
config's), and with DCT-scaled decoding too. One process, one thread. Prints ratios of paired turns
with their quartiles, and what each step of a pipeline takes. Writes json.
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch
from machine import machine
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS, init_default_scope
from paced import stock_pipeline, write_jpegs

from mmrbdc.cli import run_cli
from mmrbdc.datasets.loading.rules import read_by_rules
from mmrbdc.engine.inputs.image_size import scaled_pipeline
from mmrbdc.seeding import seed_all
from mmrbdc.weights import write_json

CONFIG = Path(__file__).parents[1] / "configs" / "_base_" / "datasets" / "imagenet_deit.py"
WAYS = {
    "stock": {},
    "same pixels": dict(backend="pillow"),
    "torch": dict(backend="torch"),
    "torch, DCT-scaled": dict(backend="torch", dct_scaling=True),
}


class _Set:
    """What has a pipeline."""

    def __init__(self, pipeline: Sequence[Any]) -> None:
        self.pipeline = Compose(list(pipeline))


def pipeline(way: str, size: int) -> list[Any]:
    """The transforms of a way of loading, built."""
    steps = copy.deepcopy(Config.fromfile(str(CONFIG)).train_pipeline)
    steps = scaled_pipeline(steps, 224, size)
    if way == "stock":
        stock_pipeline(steps)
        return [TRANSFORMS.build(step) for step in steps]
    for step in steps:
        if step["type"] == "mmrbdc.RandomResizedCrop":
            step.update(WAYS[way])
    holder = _Set(steps)
    read_by_rules(holder)
    return list(holder.pipeline.transforms)


def seconds(steps: Sequence[Any], paths: Sequence[str], took: dict[str, float]) -> float:
    """Load all pictures once; adds the seconds of each step to ``took``."""
    named = [(repr(step).partition("(")[0], step) for step in steps]
    begun = time.process_time()
    for number, path in enumerate(paths):
        seed_all("sample", number)
        results: Any = dict(img_path=path, gt_label=0)
        for name, step in named:
            before = time.perf_counter()
            results = step(results)
            took[name] = took.get(name, 0.0) + time.perf_counter() - before
    return time.process_time() - begun


def measure(size: int, paths: Sequence[str], repeats: int, say: Callable[[str], None]) -> dict:
    """All ways at one size, in turns."""
    built = {way: pipeline(way, size) for way in WAYS}
    took: dict[str, dict[str, float]] = {way: {} for way in WAYS}
    turns: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(repeats + 1):
        for way, steps in built.items():
            spent = seconds(steps, paths, took[way] if turn else {})
            if turn:  # the first warms caches
                turns[way].append(spent)
    found: dict[str, Any] = {}
    for way in WAYS:
        ratios = sorted(a / b for a, b in zip(turns["stock"], turns[way], strict=True))
        low, middle, high = statistics.quantiles(ratios, n=4)
        rate = len(paths) / statistics.median(turns[way])
        found[way] = dict(images_per_s=rate, times=middle, quartiles=[low, high])
        each = {k: v / repeats / len(paths) * 1e3 for k, v in took[way].items()}
        found[way]["ms_per_image"] = each
        say(f"  {way:18s} {rate:6.0f} images/s  {middle:.2f} x ({low:.2f} to {high:.2f})")
        say("    ms: " + ", ".join(f"{name} {ms:.2f}" for name, ms in each.items()))
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write the json."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=200, help="pictures in a turn")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 112])
    parser.add_argument("--out", help="json of what was measured")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    init_default_scope("mmpretrain")
    results: dict[str, Any] = dict(machine=machine())
    with tempfile.TemporaryDirectory(prefix="mmrbdc-loading-") as folder:
        write_jpegs(Path(folder), args.images)
        paths = sorted(map(str, Path(folder).rglob("*.jpg")))
        for size in args.sizes:
            print(f"{size} px, {len(paths)} pictures of 500 x 375 px, CPU time of one core")
            results[str(size)] = measure(size, paths, args.repeats, print)
    if args.out:
        write_json(args.out, results)


if __name__ == "__main__":
    run_cli(main)
