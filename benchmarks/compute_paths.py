"""What the defaults of lockstep and of the DeiT recipe rest on: each choice beside its alternative.

    python benchmarks/compute_paths.py --out docs/results/compute_paths.json

In turns in one process on random images of 224 px: members stacked or compiled against a plain
loop over them, channels-last against contiguous tensors, bfloat16 autocast against float32, a
fused AdamW step against torch's default one. A turn is a forward and backward pass of all members,
or one optimizer step. Prints milliseconds of CPU time (medians) and the median of paired ratios,
alternative over default.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from machine import machine
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

from mmrbdc.cli import run_cli
from mmrbdc.models import Siblings
from mmrbdc.weights import write_json

CLASSES = 10
Turn = Callable[[], Any]


def deit_tiny(size: int) -> dict:
    """Config of DeiT-T."""
    return dict(
        type="ImageClassifier",
        backbone=dict(type="VisionTransformer", arch="deit-tiny", img_size=size, patch_size=16),
        head=dict(type="VisionTransformerClsHead", num_classes=CLASSES, in_channels=192),
    )


def resnet(depth: int, base_channels: int) -> dict:
    """Config of a ResNet; 64 base channels are the usual width."""
    features = base_channels * 8 * (4 if depth >= 50 else 1)
    return dict(
        type="ImageClassifier",
        backbone=dict(
            type="ResNet",
            depth=depth,
            base_channels=base_channels,
            stem_channels=base_channels,
            out_indices=(3,),
        ),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=CLASSES, in_channels=features),
    )


def training_pass(
    member: dict,
    args: argparse.Namespace,
    members: int,
    compiled: bool = False,
    bf16: bool = False,
    **options: Any,
) -> Turn:
    """Return a forward and backward pass over one batch that all members share."""
    model = Siblings(dict(member, data_preprocessor=dict()), seeds=range(members), **options)
    model.init_weights()
    model.train()
    draw = torch.Generator().manual_seed(0)
    size = (args.batch_size, 3, args.img_size, args.img_size)
    images = torch.randint(0, 256, size, generator=draw, dtype=torch.uint8)
    samples = [DataSample().set_gt_label(i % CLASSES) for i in range(args.batch_size)]
    data = model.data_preprocessor(dict(inputs=list(images), data_samples=samples), training=True)
    if compiled:
        for one in model.members:
            one.backbone.compile()

    def turn() -> None:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = sum(model(**data, mode="loss").values())
        loss.backward()

    return turn


def adamw_step(args: argparse.Namespace, **options: Any) -> Turn:
    """Return one step of AdamW over four DeiT-T, with and without weight decay."""
    model = Siblings(dict(deit_tiny(args.img_size), data_preprocessor=dict()), seeds=range(4))
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 1e-3)
    groups = [
        dict(params=[p for p in parameters if p.ndim > 1]),
        dict(params=[p for p in parameters if p.ndim <= 1], weight_decay=0.0),
    ]
    return torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.05, **options).step


def cases(args: argparse.Namespace) -> dict[str, tuple[str, Callable[[], tuple[Turn, Turn]]]]:
    """Return name -> (the two choices in words, what builds default and alternative)."""
    found: dict[str, tuple[str, Callable[[], tuple[Turn, Turn]]]] = {}
    models = {
        "DeiT-T": deit_tiny(args.img_size),
        "ResNet-18, 8 base channels": resnet(18, 8),
        "ResNet-18, 4 base channels": resnet(18, 4),
    }
    for name, model in models.items():
        found[f"stacked: 4 x {name}"] = (
            "compute='stacked' / 'loop'",
            lambda model=model: (
                training_pass(model, args, 4),
                training_pass(model, args, 4, compute="stacked"),
            ),
        )
    found["compiled: DeiT-T"] = (
        "backbone compiled / not",
        lambda: (
            training_pass(deit_tiny(args.img_size), args, 1),
            training_pass(deit_tiny(args.img_size), args, 1, compiled=True),
        ),
    )
    for depth, channels in ((18, 8), (18, 16), (50, 16), (50, 64)):
        found[f"channels-last: ResNet-{depth}, {channels} base channels"] = (
            "channels_last=True / False",
            lambda depth=depth, channels=channels: (
                training_pass(resnet(depth, channels), args, 1),
                training_pass(resnet(depth, channels), args, 1, channels_last=True),
            ),
        )
    for name, model in (("DeiT-T", models["DeiT-T"]), ("ResNet-50", resnet(50, 64))):
        found[f"bf16: {name}"] = (
            "bfloat16 autocast / float32",
            lambda model=model: (
                training_pass(model, args, 1),
                training_pass(model, args, 1, bf16=True),
            ),
        )
    found["AdamW: 4 x DeiT-T"] = (
        "fused=True / default",
        lambda: (adamw_step(args), adamw_step(args, fused=True)),
    )
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every case and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9, help="pairs of turns")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--img-size", type=int, default=224, help="pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--out", type=Path, help="write a json")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    init_default_scope("mmpretrain")
    MMLogger.get_instance("mmrbdc", log_level="WARNING")
    chosen = {name: case for name, case in cases(args).items() if args.only in name}
    if not chosen:
        raise ValueError(f"--only {args.only!r}: no such case; cases: {'; '.join(cases(args))}")
    rows = [measured(name, *case, args.repeats) for name, case in chosen.items()]
    if args.out:
        write_json(
            args.out, dict(settings=dict(vars(args), out=None), rows=rows, machine=machine())
        )


def measured(
    name: str, what: str, build: Callable[[], tuple[Turn, Turn]], repeats: int
) -> dict[str, Any]:
    """Let the two choices alternate, after one turn each that is not counted."""
    turns = build()
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        for choice in (0, 1) if repeat % 2 else (1, 0):
            begun = time.process_time()
            turns[choice]()
            if repeat:
                seconds[choice].append(time.process_time() - begun)
    ratios = [other / default for default, other in zip(*seconds, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if repeats > 1 else ratios * 3
    default, other = (1e3 * statistics.median(each) for each in seconds)
    ratio = statistics.median(ratios)
    print(
        f"{name}: {what}: {other:.1f} / {default:.1f} ms of CPU time a turn; "
        f"ratio {ratio:.2f} (quartiles {low:.2f} to {high:.2f}, {repeats} pairs)",
        flush=True,
    )
    return dict(
        case=name, what=what, cpu_ms=[other, default], ratio=ratio, quartiles=[low, high],
        ratios=ratios,
    )  # fmt: skip


if __name__ == "__main__":
    run_cli(main)
