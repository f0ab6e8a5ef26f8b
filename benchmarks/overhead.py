"""What a stage's run costs beyond plain MMPretrain: one DeiT-T, the same data, step by step.

    python benchmarks/overhead.py --out docs/results/overhead.json

The staged run has all that mmrbdc adds: ledger, member export, clocks, checks and replayable
data. Both runs follow configs/baselines/deit-s_scratch_in1k.py at DeiT-T's width, on a temporary
folder of JPEGs.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from paced import FOREVER, benchmark_config, report, take_turns, write_jpegs

from mmrbdc.cli import run_cli

BASE = Path(__file__).resolve().parent.parent / "configs" / "baselines" / "deit-s_scratch_in1k.py"
TARGET = 1.02


def main(argv: Sequence[str] | None = None) -> None:
    """Measure pairs of steps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=40, help="pairs of turns")
    parser.add_argument("--iters", type=int, default=1, help="iterations in a turn")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--images", type=int, default=300, help="images in the folder")
    parser.add_argument("--threads", type=int, default=1, help="threads of a run")
    parser.add_argument("--out", type=Path, help="write a json")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(Path(folder), args.images)
        stages = [dict(members=1, width=1, iters=FOREVER)]
        cfg = benchmark_config(BASE, Path(folder), args.batch_size, stages)
        cfg.model.backbone.arch, cfg.model.head.in_channels = "deit-tiny", 192
        turns = dict(staged=args.iters, stock=args.iters)
        seconds = take_turns(cfg, turns, repeats=args.repeats, threads=args.threads)
    report(
        "overhead of a staged run",
        seconds,
        turns,
        target=TARGET,
        out=args.out,
        settings=dict(vars(args), out=None),
    )


if __name__ == "__main__":
    run_cli(main)
