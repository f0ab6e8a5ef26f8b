"""The paired bootstrap of AP beside pycocotools' own evaluation, on a problem of COCO val's size.

    python benchmarks/bootstrap_ap.py --out docs/results/bootstrap_ap.json

Two detectors on 5,000 images with 36,000 boxes of 80 categories, about 100 detections an image
each, all made from random numbers. pycocotools: ``evaluate`` and ``accumulate`` of boxes, for each
of the two. Ours: ``match`` of both (which runs that ``evaluate``) and ``paired_bootstrap`` of AP
over all areas with 1,000 resamples, so the matching is included. Both run in turns in one process;
files are read before. Prints the ratio of the median times last: of CPU time, since other work may
share the cores, and before it of the time on the clock.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from pycocotools.cocoeval import COCOeval

from mmrbdc.analysis.coco import (
    Annotations,
    PairedBootstrap,
    Predictions,
    match,
    paired_bootstrap,
    read_annotations,
    read_predictions,
)
from mmrbdc.cli import run_cli
from mmrbdc.weights import write_json

Result = TypeVar("Result")

TARGET = 2.0
SIZE = (640, 480)
SIDES = (12, 300)
CATEGORIES_AN_IMAGE = 3


def main(argv: Sequence[str] | None = None) -> None:
    """Make the problem, run both in turns, print and write the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--categories", type=int, default=80)
    parser.add_argument("--boxes", type=int, default=36000)
    parser.add_argument("--detections", type=int, default=100, help="of each model on an image")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=1, help="turns of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write a json")
    args = parser.parse_args(argv)
    rng = np.random.default_rng(args.seed)
    share = 1 / np.arange(1, args.categories + 1)
    share /= share.sum()
    common = rng.choice(args.categories, size=(args.images, CATEGORIES_AN_IMAGE), p=share)
    truth = _truth(rng, common, args.categories, args.boxes)
    with tempfile.TemporaryDirectory(prefix="mmrbdc-bootstrap-") as name:
        folder = Path(name)
        annotations = read_annotations(_write(folder / "annotations.json", truth))
        models = []
        for model in ("a", "b"):
            detections = _detections(rng, truth, common, args.images * args.detections)
            path = _write(folder / f"{model}.json", detections)
            models.append(read_predictions(path, annotations, "bbox"))
    rows = []
    for _ in range(args.repeats):
        stock, stats = _timed(lambda: [_pycocotools(annotations, model) for model in models])
        ours, (difference, matching) = _timed(lambda: _ours(annotations, models, args.resamples))
        assert difference.difference == stats[0] - stats[1], "AP should be pycocotools'"
        rows.append(dict(pycocotools=stock, ours=ours, matching=matching))
        print(
            f"pycocotools {stock['seconds']:.0f} s (CPU {stock['cpu_seconds']:.0f} s), ours "
            f"{ours['seconds']:.0f} s (CPU {ours['cpu_seconds']:.0f} s, of it matching "
            f"{matching['cpu_seconds']:.0f} s); difference {difference.difference:.4f} "
            f"[{difference.low:.4f}, {difference.high:.4f}], p {difference.p:.4f}",
            flush=True,
        )
    ratios = {
        kind: statistics.median(row["ours"][kind] for row in rows)
        / statistics.median(row["pycocotools"][kind] for row in rows)
        for kind in ("seconds", "cpu_seconds")
    }
    if args.out:
        settings = {key: value for key, value in vars(args).items() if key != "out"}
        write_json(args.out, dict(target=TARGET, ratios=ratios, settings=settings, turns=rows))
    print(f"time on the clock over pycocotools': {ratios['seconds']:.2f} (target {TARGET:g})")
    print(f"CPU time over pycocotools': {ratios['cpu_seconds']:.2f} (target {TARGET:g})")


def _truth(rng: np.random.Generator, common: np.ndarray, categories: int, boxes: int) -> dict:
    """Make annotations in which image i has boxes of the categories ``common[i]`` alone."""
    images = len(common)
    image = rng.integers(images, size=boxes)
    category = common[image, rng.integers(CATEGORIES_AN_IMAGE, size=boxes)]
    placed = _boxes(rng, boxes)
    crowd = rng.random(boxes) < 0.01
    width, height = SIZE
    return {
        "images": [
            {"id": i + 1, "width": width, "height": height, "file_name": f"{i + 1}.jpg"}
            for i in range(images)
        ],
        "categories": [{"id": k + 1, "name": f"thing {k + 1}"} for k in range(categories)],
        "annotations": [
            {
                "id": n + 1,
                "image_id": int(image[n]) + 1,
                "category_id": int(category[n]) + 1,
                "bbox": placed[n].tolist(),
                "area": float(placed[n, 2] * placed[n, 3]),
                "iscrowd": int(crowd[n]),
            }
            for n in range(boxes)
        ],
    }


def _detections(
    rng: np.random.Generator, truth: dict, common: np.ndarray, count: int
) -> list[dict]:
    """Find four boxes of five, more or less exactly, and fill up with wrong ones of low scores.

    Half of the wrong ones are of a category that the image may have, half of any.
    """
    objects = [found for found in truth["annotations"] if rng.random() < 0.8]
    boxes = np.array([found["bbox"] for found in objects])
    blur = rng.gamma(1, 0.06, size=(len(boxes), 1))
    boxes += blur * rng.normal(size=boxes.shape) * np.tile(boxes[:, 2:], 2)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 1)
    entries = [(found["image_id"], found["category_id"]) for found in objects]
    wrong = max(count - len(objects), 0)
    image = rng.integers(len(common), size=wrong)
    like = np.where(rng.random(wrong) < 0.5, image, rng.integers(len(common), size=wrong))
    category = common[like, rng.integers(CATEGORIES_AN_IMAGE, size=wrong)]
    entries += zip((image + 1).tolist(), (category + 1).tolist(), strict=True)
    boxes = np.concatenate([boxes, _boxes(rng, wrong)])
    scores = np.concatenate([rng.beta(3, 1.5, size=len(objects)), rng.beta(1, 8, size=wrong)])
    return [
        {"image_id": image, "category_id": category, "bbox": box, "score": score}
        for (image, category), box, score in zip(
            entries, boxes.tolist(), scores.tolist(), strict=True
        )
    ]


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return boxes of all sizes inside the image, (count, 4)."""
    sides = np.exp(rng.uniform(*np.log(SIDES), size=(count, 2)))
    return np.concatenate([rng.uniform(size=(count, 2)) * (np.array(SIZE) - sides), sides], axis=1)


def _write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def _pycocotools(annotations: Annotations, predictions: Predictions) -> float:
    """Return AP as COCOeval sums it up."""
    evaluator = COCOeval(annotations.coco, predictions.coco, "bbox")
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return float(evaluator.stats[0])


def _ours(
    annotations: Annotations, models: Sequence[Predictions], resamples: int
) -> tuple[PairedBootstrap, dict[str, float]]:
    """Return the comparison and what the matching took of its time."""
    seconds, matches = _timed(lambda: [match(annotations, model, "bbox") for model in models])
    return paired_bootstrap(*matches, resamples=resamples), seconds


def _timed(work: Callable[[], Result]) -> tuple[dict[str, float], Result]:
    began, began_cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds = dict(seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - began_cpu)
    return seconds, result


if __name__ == "__main__":
    run_cli(main)
