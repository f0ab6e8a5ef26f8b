"""A training step of Mask R-CNN with a grown ResNet-50, against MMDetection's own ResNet-50.

    python benchmarks/detector_step.py --out docs/results/detector_step.json

Both detectors are those of configs/mask-rcnn_rbdc-r50_coco.py; in the second the backbone is
MMDetection's ``ResNet``. They have the same weights (a ResNet-50 grown from two random ones of half
its width, loaded as a user loads it), policy, optimizer and images of noise, so every step does the
same work; the first losses are compared. They take turns, one step each, in one process. A step is
preprocessing, forward, backward and optimizer.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from machine import machine
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData

from mmrbdc.cli import run_cli
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import grow
from mmrbdc.models.backbones.resnet import POLICIES
from mmrbdc.weights import publish, write_json

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
TARGET = 1.0
OBJECTS = 5
"""Boxes with masks in an image."""
LR = 1e-5
"""So small that the losses on noise stay finite."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure pairs of steps under each policy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=20, help="pairs of steps of each policy")
    parser.add_argument("--img-size", type=int, default=320, help="pixels")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), choices=POLICIES)
    parser.add_argument("--out", type=Path, help="write a json")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    MMLogger.get_instance("mmrbdc", log_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        file = grown_resnet50(Path(folder))
        rows = [measured(policy, file, args) for policy in args.policies]
    if args.out:
        settings = dict(vars(args), out=None)
        write_json(args.out, dict(target=TARGET, settings=settings, rows=rows, machine=machine()))


def grown_resnet50(folder: Path) -> Path:
    """Grow a ResNet-50 from two random ones of half its width, and publish it."""
    init_default_scope("mmpretrain")
    config = Config.fromfile(CONFIGS / "_base_" / "models" / "resnet50.py").model
    architecture = architecture_from_config(config)
    parents = []
    for seed in range(2):
        torch.manual_seed(seed)
        parent = MODELS.build(architecture.scaled(0.5).classifier_config(config))
        parent.init_weights()
        parents.append(parent.state_dict())
    child = grow(parents, architecture.layout()).state_dict
    meta = dict(name="grown", architecture=architecture.to_dict())
    return publish(folder / "grown", child, meta)["pth"]


def detectors(policy: str, file: Path) -> dict[str, tuple[Any, Any]]:
    """Return both detectors with their optimizer wrappers, by name, the same weights in both."""
    init_default_scope("mmdet")
    config = Config.fromfile(CONFIGS / "mask-rcnn_rbdc-r50_coco.py")
    config.optim_wrapper.optimizer.lr = LR
    backbone = dict(type="mmrbdc.ResNet", depth=50, out_indices=(0, 1, 2, 3), policy=policy)
    backbone["init_cfg"] = dict(type="mmrbdc.Transferred", checkpoint=str(file))
    stock = dict(type="mmdet.ResNet", depth=50, out_indices=(0, 1, 2, 3), **POLICIES[policy])
    models = {}
    for name, choice in dict(grown=backbone, stock=stock).items():
        config.model.backbone = choice
        models[name] = revert_sync_batchnorm(MODELS.build(config.model))
    models["grown"].init_weights()
    models["stock"].load_state_dict(models["grown"].state_dict())
    return {
        name: (model, build_optim_wrapper(model, config.optim_wrapper))
        for name, model in models.items()
    }


def images(args: argparse.Namespace, number: int) -> dict[str, list]:
    """Images of noise with square objects, the same for the same number."""
    draw = torch.Generator().manual_seed(number)
    size, samples = args.img_size, []
    for _ in range(args.batch_size):
        corners = torch.randint(0, size // 2, (OBJECTS, 2), generator=draw)
        sides = torch.randint(size // 16, size // 2, (OBJECTS, 1), generator=draw)
        boxes = torch.cat([corners, corners + sides], dim=1)
        masks = torch.zeros(OBJECTS, size, size, dtype=torch.uint8)
        for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
            mask[top:bottom, left:right] = 1
        sample = DetDataSample(metainfo=dict(img_shape=(size, size), ori_shape=(size, size)))
        sample.gt_instances = InstanceData(
            bboxes=boxes.float(),
            labels=torch.randint(0, 80, (OBJECTS,), generator=draw),
            masks=BitmapMasks(masks.numpy(), size, size),
        )
        samples.append(sample)
    shape = (args.batch_size, 3, size, size)
    pixels = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
    return dict(inputs=list(pixels), data_samples=samples)


def measured(policy: str, file: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Let the two detectors alternate, after one step each that is not counted."""
    both = detectors(policy, file)
    for model, _ in both.values():
        model.train()
    seconds: dict[str, dict[str, list[float]]] = {
        clock: {name: [] for name in both} for clock in ("wall", "cpu")
    }
    for repeat in range(args.repeats + 1):
        losses = {}
        for name in both if repeat % 2 else reversed(both):
            model, optim_wrapper = both[name]
            data = images(args, repeat)
            torch.manual_seed(repeat)  # for the sampling of proposals
            begun = time.perf_counter(), time.process_time()
            losses[name] = model.train_step(data, optim_wrapper)["loss"].item()
            ended = time.perf_counter(), time.process_time()
            if repeat:
                for clock, start, end in zip(seconds, begun, ended, strict=True):
                    seconds[clock][name].append(end - start)
        if not repeat and abs(losses["grown"] / losses["stock"] - 1) > 1e-4:
            raise ValueError(f"the first losses differ: {losses}: the steps are not comparable")
    return dict(
        policy=policy,
        losses=losses,
        **{clock: summary(policy, clock, seconds[clock]) for clock in seconds},
    )


def summary(policy: str, clock: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Print and return medians, their ratio, and the quartiles of the paired ratios."""
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    ratios = [a / b for a, b in zip(seconds["grown"], seconds["stock"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    ratio = medians["grown"] / medians["stock"]
    print(
        f"{policy:6} {clock:4}: grown {medians['grown'] * 1e3:.0f} ms a step, stock "
        f"{medians['stock'] * 1e3:.0f} ms; ratio of medians {ratio:.3f}, of pairs {middle:.3f} "
        f"(quartiles {low:.3f} to {high:.3f}, {len(ratios)} pairs; target {TARGET:.2f} within "
        "noise)",
        flush=True,
    )
    return dict(
        ratio_of_medians=ratio,
        median_of_ratios=middle,
        quartiles=[low, high],
        seconds=medians,
        ratios=ratios,
    )


if __name__ == "__main__":
    run_cli(main)
