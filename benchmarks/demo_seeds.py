"""The demo over several seeds: RBDC against scratch and random weights, differences paired by seed.

    python benchmarks/demo_seeds.py --seeds 0 1 2 3 4 --jobs 2

Runs tools/demo.py once a seed, ``--jobs`` at a time with one thread each, then compares all runs
into <out>/results.json and <out>/report.html. Interrupted, the same command goes on.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmrbdc.cli import run_cli

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> None:
    """Run every seed, then the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--family", choices=["deit", "resnet"], default="deit")
    parser.add_argument("--jobs", type=int, default=1, help="demos at a time")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, help="default work_dirs/demo_seeds_<family>")
    args = parser.parse_args(argv)
    out = args.out or Path(f"work_dirs/demo_seeds_{args.family}")
    out.mkdir(parents=True, exist_ok=True)
    make_data = [sys.executable, str(ROOT / "tools/make_demo_data.py"), "--out", str(args.data)]
    subprocess.run(make_data, check=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        codes = list(pool.map(lambda seed: _demo(args, out, seed), args.seeds))
    failed = [seed for seed, code in zip(args.seeds, codes, strict=True) if code]
    if failed:
        raise ValueError(
            f"seeds that failed: {failed}; see {out}/seed*.log, then give the command again"
        )
    compare = [sys.executable, str(ROOT / "tools/compare.py"), str(out), "--out", str(out)]
    subprocess.run(compare, check=True)


def _demo(args: argparse.Namespace, out: Path, seed: int) -> int:
    command = [sys.executable, str(ROOT / "tools/demo.py"), "--family", args.family]
    command += ["--seed", str(seed), "--data", str(args.data), "--out", str(out / f"seed{seed}")]
    with (out / f"seed{seed}.log").open("w") as log:
        done = subprocess.run(
            command, stdout=log, stderr=log, env=dict(os.environ, OMP_NUM_THREADS="1")
        )
    print(f"seed {seed}: {'finished' if done.returncode == 0 else 'failed'}", flush=True)
    return done.returncode


if __name__ == "__main__":
    run_cli(main)
