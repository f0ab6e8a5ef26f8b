"""Compare finished runs in one table, and with --out in a report.

    python tools/compare.py work_dirs/demo --out work_dirs/demo

A pretraining and the detectors fine-tuned from its checkpoint become one row each; several seeds
of a method become one line with mean and spread, and differences paired by seed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmrbdc.analysis import (
    collect,
    comparison_table,
    differences_table,
    groups,
    paired_differences,
    write_report,
)
from mmrbdc.analysis.table import WIDTH
from mmrbdc.cli import run_cli


def main(argv: Sequence[str] | None = None) -> None:
    """Print the comparison; write the report where one is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "work_dirs",
        nargs="+",
        type=Path,
        metavar="WORK_DIR",
        help="work dir of a finished and tested run, or a folder of such",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write results.json and report.html there"
    )
    args = parser.parse_args(argv)
    comparison = collect(args.work_dirs)
    found = groups(comparison)
    console = Console(width=WIDTH)
    console.print(comparison_table(found))
    differences = paired_differences(found)
    if differences:
        console.print(differences_table(differences))
    if args.out:
        for path in write_report(comparison, args.out).values():
            print(path)


if __name__ == "__main__":
    run_cli(main)
