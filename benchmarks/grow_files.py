"""What it costs to grow 4 DeiT-T files into a DeiT-B file, beside reading and writing as much.

    python benchmarks/grow_files.py --out docs/results/grow_files.json

The floor reads the inputs with torch.load and writes (and syncs) a file of the child's size with
torch.save. Both run in turns, each time in a fresh process with everything imported before its
clock starts; SHA-256 of the inputs, which ours computes besides, is timed apart and taken off.
Prints the ratio of the median times last, and before it that of the peak memory above the imports
to inputs plus output.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from mmrbdc.cli import run_cli
from mmrbdc.weights import write_json

CHILD = "mmpretrain::deit/deit-base_16xb64_in1k.py"
PARENT = "mmpretrain::deit/deit-tiny_4xb256_in1k.py"

FLOOR = """
def work(parents, target):
    states = [torch.load(path, weights_only=True) for path in parents]
    with open(target, "wb") as file:
        torch.save(child, file)
        file.flush()
        os.fsync(file.fileno())
    return 0.0
"""
OURS = """
def work(parents, target):
    write_grown(grow_files(CHILD, parents), target)
    begun = time.perf_counter()
    for path in parents:
        file_sha256(path)
    return time.perf_counter() - begun
"""
PROCESS = """
import json, os, resource, sys, time, warnings
warnings.filterwarnings("ignore")
import torch
from mmrbdc.engine.junctions.grow_files import grow_files, load_model_config, write_grown
from mmrbdc.engine.cost.on_meta import build_on_meta
from mmrbdc.weights.read import file_sha256
CHILD, target, *parents = sys.argv[1:]
model = build_on_meta(load_model_config(CHILD))
{child}
{work}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = time.perf_counter()
hashing = work(parents, target)
seconds = time.perf_counter() - begun - 2 * hashing
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(dict(seconds=seconds, peak_mib=(peak - before) / 1024)))
"""
CHILD_IN_MEMORY = """
child = {name: torch.rand(tensor.shape) for name, tensor in model.state_dict().items()}
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Make the inputs, run both in turns, print and write the ratios."""
    parser = argparse.ArgumentParser(description="Growing files beside reading and writing them.")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", help="where files are written (default: a temporary one)")
    parser.add_argument("--out", help="json")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="mmrbdc-grow-", dir=args.folder) as name:
        place = Path(name)
        parents = [_parent(place / f"{i}.pth", i) for i in range(4)]
        rows = []
        for _ in range(args.repeats):
            floor = _run(FLOOR, CHILD_IN_MEMORY, place / "floor.pth", parents)
            ours = _run(OURS, "", place / "ours.pth", parents)
            rows.append(dict(floor=floor, ours=ours))
            print(
                f"floor {floor['seconds']:.2f} s, ours {ours['seconds']:.2f} s, "
                f"{ours['peak_mib']:.0f} MiB",
                flush=True,
            )
        size = sum(path.stat().st_size for path in [*parents, place / "ours.pth"]) / 2**20
    times = [statistics.median(row[kind]["seconds"] for row in rows) for kind in ("ours", "floor")]
    memory = statistics.median(row["ours"]["peak_mib"] for row in rows) / size
    ratio = times[0] / times[1]
    command = f"python benchmarks/grow_files.py --repeats {args.repeats}"
    if args.out:
        write_json(
            args.out,
            dict(command=command, time_ratio=ratio, memory_ratio=memory, size_mib=size, rows=rows),
        )
    print(f"peak memory over inputs plus output ({size:.0f} MiB): {memory:.2f} (target 1.5)")
    print(f"time over reading and writing: {ratio:.2f} (target 1.5)")


def _parent(path: Path, seed: int) -> Path:
    from mmrbdc.engine.configs.loading import load_model_config
    from mmrbdc.engine.cost.on_meta import build_on_meta

    torch.manual_seed(seed)
    state = build_on_meta(load_model_config(PARENT)).state_dict()
    torch.save({name: torch.rand(tensor.shape) for name, tensor in state.items()}, path)
    return path


def _run(work: str, child: str, target: Path, parents: Sequence[Path]) -> dict[str, float]:
    target.unlink(missing_ok=True)
    code = PROCESS.format(child=child, work=work)
    command = [sys.executable, "-c", code, CHILD, str(target), *map(str, parents)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    run_cli(main)
