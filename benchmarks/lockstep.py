"""Four narrow members in lockstep against stock MMPretrain training them one after another.

    python benchmarks/lockstep.py loading --out docs/results/lockstep_loading.json
    python benchmarks/lockstep.py compute --out docs/results/lockstep_compute.json

``loading``: a ViT of patch 32, 2 layers and width 24, which trains on an image in less time than
the image takes to decode and to augment as DeiT does. ``compute``: DeiT-T at 224 px. Both are the
first stage of configs/rbdc/deit-b_2step_in1k.py (mixup, CutMix, AdamW, the augmentation shared) on
a temporary folder of JPEGs of 224 x 224 pixels, or --jpeg-size; ImageNet's are about 500 x 375. A
turn of the staged run is n iterations with 4 members; a turn of the stock run is n iterations for
each of the 4.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from paced import FOREVER, benchmark_config, report, take_turns, write_jpegs

from mmrbdc.cli import run_cli

MEMBERS = 4
BASE = Path(__file__).resolve().parent.parent / "configs" / "rbdc" / "deit-b_2step_in1k.py"
TARGETS = dict(loading=0.45, compute=1.02)
BATCH = dict(loading=32, compute=8)
ITERATIONS = dict(loading=3, compute=1)
LOADING_BOUND = dict(embed_dims=96, num_layers=2, num_heads=4, feedforward_channels=384)
"""The target; its members have a quarter of the width."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure one case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=list(TARGETS))
    parser.add_argument("--repeats", type=int, default=15, help="pairs of turns")
    parser.add_argument("--iters", type=int, help="iterations of a member in a turn")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--images", type=int, default=300, help="images in the folder")
    parser.add_argument("--jpeg-size", type=int, nargs=2, default=[224, 224],
                        metavar=("WIDTH", "HEIGHT"))  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, help="threads of a run")
    parser.add_argument("--compute", choices=["loop", "stacked"], default="loop")
    parser.add_argument("--out", type=Path, help="write a json")
    args = parser.parse_args(argv)
    iters = args.iters or ITERATIONS[args.case]
    batch_size = args.batch_size or BATCH[args.case]
    stages = [
        dict(members=MEMBERS, width="1/4", iters=FOREVER),
        dict(members=1, width=1, iters=1),
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(Path(folder), args.images, tuple(args.jpeg_size))
        cfg = benchmark_config(BASE, Path(folder), batch_size, stages)
        if args.case == "loading":
            cfg.model.backbone.update(arch=LOADING_BOUND, patch_size=32)
            cfg.model.head.in_channels = LOADING_BOUND["embed_dims"]
        cfg.lockstep = dict(compute=args.compute, augmentation="shared")
        turns = dict(staged=iters, stock=MEMBERS * iters)
        seconds = take_turns(cfg, turns, repeats=args.repeats, threads=args.threads)
    report(
        f"lockstep, {args.case}-bound",
        seconds,
        turns,
        target=TARGETS[args.case],
        out=args.out,
        settings=dict(vars(args), out=None, iters=iters, batch_size=batch_size),
    )


if __name__ == "__main__":
    run_cli(main)
