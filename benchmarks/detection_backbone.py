"""The windowed DeiT backbone against MMPretrain's VisionTransformer and ViTSAM at detection size.

    python benchmarks/detection_backbone.py --out docs/results/detection_backbone.json

Forward and backward of one image, float32, on a CPU, all backbones with the same weights and input:

- ``windows``: mmrbdc.DeiT, 14 x 14 windows, 4 global blocks; ``checkpointed``: that ``with_cp``;
- ``full``: mmpretrain.VisionTransformer, as a detector takes it (one map);
- ``sam``: mmpretrain.ViTSAM, the same windows and global blocks, no relative positions, no channel
  reduction.

Time: turns in one process, the first backbone changing; ratios of the turns of one round. Memory: a
fresh process each, the highest resident size during one step above what it was before, model, input
and the map's gradient being there; tensors from 64 kB are returned to the system when freed, so
that the figure is what was alive.
"""

import argparse
import json
import multiprocessing
import os
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from machine import machine
from mmengine.registry import init_default_scope
from mmpretrain.models.backbones import VisionTransformer
from torch import Tensor, nn

from mmrbdc.cli import run_cli
from mmrbdc.plan.flops import forward_flops
from mmrbdc.registry import MODELS
from mmrbdc.weights import load_strict

TARGETS = {
    ("time over FLOPs", "full"): 1.10,
    ("memory", "full"): 1.0,
    ("memory, checkpointed", "full"): 0.4,
    ("time", "sam"): 0.8,
    ("memory", "sam"): 0.6,
}
TIMED = ("windows", "full", "sam")
PATCH, PRETRAINED, GLOBAL_BLOCKS = 16, 224, 4


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every architecture and print each ratio beside its target."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arch", nargs="+", default=["deit-small", "deit-base"])
    parser.add_argument("--img-size", type=int, default=1024, help="pixels, both sides")
    parser.add_argument("--window-size", type=int, default=14, help="patches")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of turns")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write a json")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    results: dict[str, Any] = {}
    for arch in args.arch:
        settings = (arch, args.img_size, args.window_size)
        measured = dict(
            flops=count_flops(*settings), memory=measure_memory(*settings, threads=args.threads)
        )
        for seconds in take_turns(*settings, repeats=args.repeats):
            results[arch] = dict(measured, seconds=seconds, ratios=ratios(seconds, **measured))
            if args.out:
                save(args.out, dict(settings=dict(vars(args), out=None), results=results))
        show(arch, results[arch])


def save(out: Path, result: dict[str, Any]) -> None:
    """Write the json, after every round, so that a run that is stopped leaves what it has."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(dict(result, machine=machine()), indent=1) + "\n")


def build(kind: str, arch: str, img_size: int, window: int) -> nn.Module:
    """One of the backbones, on the default device, with random weights."""
    init_default_scope("mmpretrain")
    shape = dict(arch=arch, img_size=PRETRAINED, patch_size=PATCH)
    if kind == "full":
        return MODELS.build(dict(type="mmpretrain.VisionTransformer", out_type="featmap", **shape))
    windows = dict(shape, window_size=window)
    if kind == "sam":
        sizes = dict(VisionTransformer.arch_zoo[arch])
        part = sizes["num_layers"] // GLOBAL_BLOCKS
        sizes["global_attn_indexes"] = [(i + 1) * part - 1 for i in range(GLOBAL_BLOCKS)]
        windows.update(type="mmpretrain.ViTSAM", arch=sizes, out_channels=0, use_rel_pos=False)
        return MODELS.build(windows)
    windows.update(type="mmrbdc.DeiT", global_blocks=GLOBAL_BLOCKS, with_cls_token=False)
    return MODELS.build(dict(windows, with_cp=kind == "checkpointed"))


def filled(kind: str, arch: str, img_size: int, window: int) -> nn.Module:
    """The backbone in training mode with the weights that ``full`` has."""
    generator = torch.Generator().manual_seed(0)
    source = build("full", arch, img_size, window)
    for parameter in source.parameters():
        nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.02, generator)
    module = source if kind == "full" else build(kind, arch, img_size, window)
    if kind != "full":
        tensors, _ = build("windows", arch, img_size, window).adapted(source.state_dict())
        if kind == "sam":
            tensors = {name: t for name, t in tensors.items() if not name.startswith("ln1.")}
            tensors["pos_embed"] = tensors["pos_embed"].unflatten(1, module.patch_resolution)
        load_strict(module, tensors)
    module.train()
    return module


def inputs(module: nn.Module, img_size: int) -> tuple[Tensor, Tensor]:
    """An image, and the gradient that comes back to the map."""
    generator = torch.Generator().manual_seed(1)
    side = -(-img_size // PATCH)
    image = torch.randn(1, 3, img_size, img_size, generator=generator)
    return image, torch.randn(1, module.embed_dims, side, side, generator=generator)


def step(module: nn.Module, image: Tensor, gradient: Tensor) -> None:
    """Forward and backward."""
    module.zero_grad(set_to_none=True)
    (feature,) = module(image)
    feature.backward(gradient)


def count_flops(arch: str, img_size: int, window: int) -> dict[str, int]:
    """FLOPs of a forward pass, PyTorch's counter on the meta device."""
    with torch.device("meta"):
        image = torch.empty(1, 3, img_size, img_size)
        return {k: forward_flops(build(k, arch, img_size, window), image) for k in TIMED}


def take_turns(
    arch: str, img_size: int, window: int, *, repeats: int
) -> Iterator[dict[str, dict[str, list[float]]]]:
    """After every round wall and CPU seconds of every step so far.

    A small step of each backbone goes before and is not counted.
    """
    modules = {kind: filled(kind, arch, img_size, window) for kind in TIMED}
    for module in modules.values():
        step(module, *inputs(module, min(img_size, PRETRAINED)))
    seconds: dict[str, dict[str, list[float]]] = {
        clock: {kind: [] for kind in TIMED} for clock in ("wall", "cpu")
    }
    for repeat in range(repeats):
        first = repeat % len(TIMED)
        for kind in TIMED[first:] + TIMED[:first]:
            image, gradient = inputs(modules[kind], img_size)
            wall, cpu = time.perf_counter(), time.process_time()
            step(modules[kind], image, gradient)
            seconds["wall"][kind].append(time.perf_counter() - wall)
            seconds["cpu"][kind].append(time.process_time() - cpu)
            modules[kind].zero_grad(set_to_none=True)
        yield seconds


def measure_memory(arch: str, img_size: int, window: int, *, threads: int) -> dict[str, int]:
    """Bytes that a step adds at its peak, by backbone."""
    context = multiprocessing.get_context("spawn")
    os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**16)  # read by the C library of the new processes
    peaks = {}
    for kind in (*TIMED, "checkpointed"):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_peak, args=(theirs, threads, kind, arch, img_size, window), daemon=True
        )
        process.start()
        theirs.close()
        peaks[kind] = ours.recv()
        process.join()
    return peaks


def _peak(result: Connection, threads: int, kind: str, *settings: Any) -> None:
    torch.set_num_threads(threads)
    module = filled(kind, *settings)
    step(module, *inputs(module, 2 * PATCH))  # what libraries allocate once
    module.zero_grad(set_to_none=True)
    image, gradient = inputs(module, settings[1])
    Path("/proc/self/clear_refs").write_text("5")  # the highest size so far becomes the present one
    before = _status("VmRSS")
    step(module, image, gradient)
    result.send(_status("VmHWM") - before)


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def ratios(seconds: dict, flops: dict, memory: dict) -> dict[str, dict[str, Any]]:
    """``windows`` over each of the two others: medians, and quartiles where there are rounds."""
    result: dict[str, dict[str, Any]] = {}
    for other in ("full", "sam"):
        found: dict[str, Any] = dict(FLOPs=flops["windows"] / flops[other])
        for clock, name in (("wall", "time"), ("cpu", "CPU time")):
            pairs = zip(seconds[clock]["windows"], seconds[clock][other], strict=True)
            rounds = [ours / theirs for ours, theirs in pairs]
            quartiles = statistics.quantiles(rounds, n=4) if len(rounds) > 1 else rounds * 3
            found[name] = statistics.median(rounds)
            found[f"{name}, quartiles"] = [quartiles[0], quartiles[2]]
            found[f"{name} over FLOPs"] = found[name] / found["FLOPs"]
        found["memory"] = memory["windows"] / memory[other]
        found["memory, checkpointed"] = memory["checkpointed"] / memory[other]
        result[other] = found
    return result


def show(arch: str, result: dict[str, Any]) -> None:
    """Print what was measured, and the targets."""
    print(f"{arch}:")
    for kind in TIMED:
        seconds = [statistics.median(result["seconds"][clock][kind]) for clock in ("wall", "cpu")]
        print(
            f"  {kind:8} {result['flops'][kind] / 1e9:8.1f} GFLOPs forward, "
            f"step {seconds[0]:.2f} s ({seconds[1]:.2f} s CPU), "
            f"{result['memory'][kind] / 2**20:.1f} MiB"
        )
    print(f"  checkpointed {result['memory']['checkpointed'] / 2**20:.1f} MiB")
    for other, found in result["ratios"].items():
        for name, value in found.items():
            spread = found.get(f"{name}, quartiles")
            if isinstance(value, list):
                continue
            about = f" (quartiles {spread[0]:.3f} to {spread[1]:.3f})" if spread else ""
            target = TARGETS.get((name, other))
            goal = f", target at most {target}" if target is not None else ""
            print(f"  over {other}: {name} {value:.3f}{about}{goal}")


if __name__ == "__main__":
    run_cli(main)
