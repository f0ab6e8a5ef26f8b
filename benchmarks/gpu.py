"""What only a GPU can say, in one command of at most 12 minutes, without a download.

    python benchmarks/gpu.py --out docs/results/gpu.json
    python benchmarks/gpu.py --small        # the same lines on a CPU: that it runs

In bfloat16, in turns, medians of paired ratios beside their targets:

- ``lockstep``: a training step of several narrow members, in a loop, stacked (``torch.func``) and
  in a loop of compiled backbones, against the members one after another;
- ``overhead``: a step of a stage of one member against MMPretrain's classifier under MMEngine's
  ``AmpOptimWrapper``;
- ``memory``: the forecast of ``tools/plan.py --memory`` over the peak of the allocator, of members
  in lockstep and of a detector;
- ``backbone``: the windowed DeiT at 1024 px against full attention, time over FLOPs;
- ``loader``: images a second of one worker over those that the model takes.

A case that fails is a line with its error, and the next one is measured. Exit code 1 where a target
is missed or a case failed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from compute_paths import CLASSES, deit_tiny, resnet
from detection_backbone import build, count_flops
from detector_step import images
from machine import machine
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from paced import write_jpegs

from mmrbdc.cli import run_cli
from mmrbdc.datasets.loading.replay import replayable
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.cost.detector_memory import detector_step_memory
from mmrbdc.engine.cost.memory import fake_images, step_memory
from mmrbdc.engine.hooks.finite_loss import on_host
from mmrbdc.engine.hooks.throughput import device_name
from mmrbdc.registry import MODELS
from mmrbdc.weights import write_json

Turn = Callable[[], Any]
TARGETS = {"lockstep": (0.0, 0.6), "overhead": (0.0, 1.02), "memory": (0.9, 1.1)}
TARGETS |= {"backbone": (0.0, 1.1), "loader": (0.0, float("inf"))}
"""Between which numbers a ratio lies; of ``lockstep`` the best of its three."""
CONFIGS = Path(__file__).resolve().parent.parent / "configs"
RECIPE = CONFIGS / "baselines" / "deit-s_scratch_in1k.py"
ADAMW = dict(type="AdamW", lr=1e-4, weight_decay=0.05)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print a line a case, write the json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="tiny models, one pair of turns")
    parser.add_argument("--repeats", type=int, default=10, help="pairs of turns")
    parser.add_argument("--minutes", type=float, default=12, help="no case is begun after these")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--out", type=Path, help="write a json")
    args = parser.parse_args(argv)
    if not torch.cuda.is_available() and not args.small:
        raise ValueError("there is no GPU here; --small runs the same lines on a CPU")
    if args.small:
        args.repeats = 1
    init_default_scope("mmpretrain")
    MMLogger.get_instance("mmrbdc", log_level="WARNING")
    torch.backends.cudnn.benchmark = True
    begun, rows = time.monotonic(), []
    print(f"on {device_name()}", flush=True)
    for name, case in cases(args):
        if args.only not in name:
            continue
        if time.monotonic() - begun > 60 * args.minutes:
            rows.append(dict(case=name, error="not begun: the time was over"))
        else:
            rows.append(dict(case=name, **_tried(case)))
        print(_line(rows[-1], judged=not args.small), flush=True)
        if args.out:
            settings = dict(vars(args), out=None)
            facts = dict(settings=settings, rows=rows, device=device_name(), machine=machine())
            write_json(args.out, facts)
    if not args.small and not all(_met(row) for row in rows):
        sys.exit(1)


def cases(args: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Name and measurement of every case, the cheapest first."""
    if args.small:
        narrow = {"4 x ResNet-18, 4 base channels": (resnet(18, 4), 4, 4, 32)}
        one, size, batch = ("ResNet-18, 4 base channels", resnet(18, 4)), 32, 4
    else:
        narrow = {
            "4 x DeiT-T": (deit_tiny(224), 4, 128, 224),
            "2 x DeiT-S": (_deit("deit-small", 384), 2, 128, 224),
            "4 x ResNet-50/4": (resnet(50, 16), 4, 128, 224),
        }
        one, size, batch = ("DeiT-S", _deit("deit-small", 384)), 224, 128
    yield f"overhead: {one[0]}", lambda: _overhead(one[1], batch, size, args)
    for name, what in narrow.items():
        yield f"memory: {name}", lambda what=what: _memory(*what)
    detector = (64, 1) if args.small else (1024, 2)
    yield "memory: Mask R-CNN, ResNet-50", lambda: _detector_memory(*detector)
    for name, what in narrow.items():
        for way in ("loop", "stacked", "compiled"):
            yield (
                f"lockstep {way}: {name}",
                lambda what=what, way=way: _lockstep(*what, way, args),
            )
    window = ("deit-tiny", 224, 14) if args.small else ("deit-base", 1024, 14)
    yield f"backbone: {window[0]}, {window[1]} px", lambda: _backbone(window, args)
    yield f"loader: {one[0]}", lambda: _loader(one[1], batch, size, args)


def _deit(arch: str, width: int) -> dict:
    model = deit_tiny(224)
    model["backbone"]["arch"] = arch
    model["head"]["in_channels"] = width
    return model


def _siblings(member: dict, count: int, size: int, batch: int, **options: Any) -> Any:
    config = dict(type="mmrbdc.Siblings", member=dict(member, data_preprocessor={}), **options)
    model = MODELS.build(dict(config, seeds=list(range(count))))
    model.init_weights()
    return model.to(get_device()).train()


def _step(model: Any, batch: int, size: int, optim: dict) -> Turn:
    """A training step as MMEngine takes it, until the device is done with it."""
    wrapper = build_optim_wrapper(model, dict(optim, optimizer=ADAMW))
    wrapper.initialize_count_status(model, 0, 10**6)
    data = fake_images((size, size), batch)
    for number, sample in enumerate(data["data_samples"]):
        sample.set_gt_label(number % CLASSES)
    return lambda: on_host(model.train_step(data, wrapper))


SIBLINGS = dict(type="mmrbdc.SiblingsOptimWrapper", autocast_dtype="bfloat16")


def _lockstep(
    member: dict, count: int, batch: int, size: int, way: str, args: argparse.Namespace
) -> dict[str, Any]:
    options = dict(compute="stacked") if way == "stacked" else {}
    together = _siblings(member, count, size, batch, **options)
    if way == "compiled":
        for one in together.members:
            one.backbone.compile()
    apart = [_siblings(member, 1, size, batch) for _ in range(count)]
    turns = [_step(one, batch, size, SIBLINGS) for one in apart]

    def one_after_another() -> None:
        for turn in turns:
            turn()

    return _ratio(one_after_another, _step(together, batch, size, SIBLINGS), args.repeats)


def _overhead(member: dict, batch: int, size: int, args: argparse.Namespace) -> dict[str, Any]:
    stock = MODELS.build(dict(member, data_preprocessor={}))
    stock.init_weights()
    stock.to(get_device())
    stock.train()
    amp = dict(type="AmpOptimWrapper", dtype="bfloat16")
    if not torch.cuda.is_available():
        amp = dict(type="mmrbdc.BFloat16OptimWrapper")
    ours = _siblings(member, 1, size, batch)
    turns = _step(stock, batch, size, amp), _step(ours, batch, size, SIBLINGS)
    return _ratio(*turns, args.repeats)


def _memory(member: dict, count: int, batch: int, size: int) -> dict[str, Any]:
    from mmengine.config import Config

    config = dict(type="mmrbdc.Siblings", member=dict(member, data_preprocessor={}))
    run = Config(
        dict(
            model=dict(config, seeds=list(range(count))),
            optim_wrapper=dict(SIBLINGS, optimizer=ADAMW),
        )
    )
    forecast = step_memory(run, (size, size), batch).peak
    if not torch.cuda.is_available():
        return dict(forecast_bytes=forecast, error="the allocator's peak needs a GPU")
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    turn = _step(_siblings(member, count, size, batch), batch, size, SIBLINGS)
    turn()
    torch.cuda.reset_peak_memory_stats()
    turn()
    taken = torch.cuda.max_memory_allocated() - before
    return dict(ratio=forecast / taken, forecast_bytes=forecast, taken_bytes=taken)


def _detector_memory(size: int, batch: int) -> dict[str, Any]:
    config = load_config(str(CONFIGS / "mask-rcnn_rbdc-r50_coco.py"))
    forecast = detector_step_memory(config, (size, size), batch).peak
    if not torch.cuda.is_available():
        return dict(forecast_bytes=forecast, error="the allocator's peak needs a GPU")
    init_default_scope("mmdet")
    config.model.backbone.pop("init_cfg", None)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    model = revert_sync_batchnorm(MODELS.build(config.model)).to(get_device()).train()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    data = images(argparse.Namespace(img_size=size, batch_size=batch), 0)
    for _ in range(2):
        torch.cuda.reset_peak_memory_stats()
        model.train_step(data, wrapper)
    taken = torch.cuda.max_memory_allocated() - before
    init_default_scope("mmpretrain")
    return dict(ratio=forecast / taken, forecast_bytes=forecast, taken_bytes=taken)


def _backbone(window: tuple[str, int, int], args: argparse.Namespace) -> dict[str, Any]:
    flops = count_flops(*window)
    image = torch.randn(2, 3, window[1], window[1], device=get_device())

    def turn(kind: str) -> Turn:
        module = build(kind, *window).to(get_device())
        module.train()  # which gives nothing back in MMPretrain

        def forward_and_backward() -> None:
            with torch.autocast(get_device(), torch.bfloat16):
                (feature,) = module(image)
            feature.float().mean().backward()
            _done()

        return forward_and_backward

    found = _ratio(turn("full"), turn("windows"), args.repeats)
    share = flops["windows"] / flops["full"]
    return dict(found, ratio=found["ratio"] / share, share_of_flops=share)


def _loader(member: dict, batch: int, size: int, args: argparse.Namespace) -> dict[str, Any]:
    turn = _step(_siblings(member, 1, size, batch), batch, size, SIBLINGS)
    step_s = statistics.median(_seconds(turn) for _ in range(2 + args.repeats))
    recipe = load_config(str(RECIPE))
    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(Path(folder), 64 if args.small else 512)
        loader = recipe.train_dataloader.to_dict()
        loader.update(batch_size=min(batch, 32), num_workers=1, persistent_workers=False)
        loader["dataset"]["data_root"] = f"{folder}/images"
        loader["collate_fn"] = dict(type="default_collate")
        batches = iter(Runner.build_dataloader(replayable(loader, 0), seed=0))
        for _ in range(1 if args.small else 3):
            next(batches)
        count = 1 if args.small else 10
        load_s = _seconds(lambda: [next(batches) for _ in range(count)])
    loaded, taken = count * min(batch, 32) / load_s, batch / step_s
    return dict(ratio=loaded / taken, images_s_a_worker=loaded, images_s_of_the_model=taken)


def _ratio(default: Turn, other: Turn, repeats: int) -> dict[str, Any]:
    """Seconds of the second over those of the first, in turns, after two each."""
    for turn in (default, other) * 2:
        turn()
    pairs = []
    for repeat in range(repeats):
        order = (default, other) if repeat % 2 else (other, default)
        taken = {turn: _seconds(turn) for turn in order}
        pairs.append((taken[default], taken[other]))
    ratios = sorted(second / first for first, second in pairs)
    first, second = (1e3 * statistics.median(each) for each in zip(*pairs, strict=True))
    spread = [ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]]
    return dict(ratio=statistics.median(ratios), quartiles=spread, ms=[second, first])


def _seconds(turn: Turn) -> float:
    _done()
    begun = time.perf_counter()
    turn()
    _done()
    return time.perf_counter() - begun


def _done() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _tried(case: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return case()
    except Exception as error:  # of a kernel, a compiler, the allocator
        lines = str(error).strip().splitlines() or [""]
        return dict(error=f"{type(error).__name__}: {lines[0]}")


def _met(row: dict[str, Any]) -> bool:
    """Whether a row's ratio is what it should be; of lockstep's ways only the loop is asked."""
    kind = row["case"].split(":")[0]
    if kind in ("lockstep stacked", "lockstep compiled"):
        return True
    low, high = TARGETS[kind.split()[0]]
    return "ratio" in row and low <= row["ratio"] <= high


def _line(row: dict[str, Any], judged: bool) -> str:
    if "ratio" not in row:
        return f"{row['case']}: {row['error']}"
    low, high = TARGETS[row["case"].split(":")[0].split()[0]]
    spread = "({:.2f} to {:.2f})".format(*row["quartiles"]) if "quartiles" in row else ""
    wanted = f"at most {high:g}" if not low else f"{low:g} to {high:g}"
    target = f", target {wanted}{'' if _met(row) else ': MISSED'}"
    target = target if judged and high < float("inf") else ""
    return f"{row['case']}: {row['ratio']:.3f} {spread}".rstrip() + target


if __name__ == "__main__":
    run_cli(main)
