"""How far apart the copies are that a widened model began with, after its training.

    python benchmarks/copies_apart.py work_dirs/studies/digits_deit/self-coupling_budget1_seed*

prints, for the final model of every run, the relative difference of the two halves of what the
classifier reads: |W1 - W2| / |W1|. Near 0 the model computes what one of half its width does. It
says nothing of operators that do not put copies side by side (net2net draws its channels).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from mmrbdc.cli import run_cli
from mmrbdc.weights import read_checkpoint


def main(argv: Sequence[str] | None = None) -> None:
    """Print one line per run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="WORK_DIR")
    for run in parser.parse_args(argv).runs:
        print(f"{run.name}: {halves_apart(run):.1e}")


def halves_apart(run: Path) -> float:
    """Return the relative difference of the two halves of a finished run's classifier.

    Raises:
        ValueError: the run is not finished, or its classifier reads an odd number of channels.
    """
    plan = run / "plan.json"
    if not plan.is_file():
        raise ValueError(f"{run} holds no run: no plan.json, which tools/train.py writes")
    state = read_checkpoint(run / f"{json.loads(plan.read_text())['name']}.pth").state_dict
    (weight,) = (t for name, t in state.items() if name.startswith("head.") and t.ndim == 2)
    if weight.shape[1] % 2:
        raise ValueError(f"{run}: the classifier reads {weight.shape[1]} channels, no two halves")
    first, second = weight.double().chunk(2, dim=1)
    return float(torch.linalg.norm(first - second) / torch.linalg.norm(first))


if __name__ == "__main__":
    run_cli(main)
