"""Accuracy over training FLOPs, accuracy over the ratio, and what RBDC saves at equal accuracy.

    python tools/analysis_tools/accuracy_vs_flops.py work_dirs/study --out work_dirs/study

Takes the finished and tested runs of one target on one data set: from scratch at several budgets,
and grown at any budgets and ratios, each over seeds. With --out writes the two figures, runs.csv
and saving.json.
"""

from collections.abc import Sequence
from pathlib import Path

from mmrbdc.cli import run_cli
from mmrbdc.commands.arguments import CommandParser


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table; write the files where they are asked for."""
    parser = CommandParser(None, __doc__)
    parser.add_argument(
        "work_dirs",
        nargs="+",
        type=Path,
        metavar="WORK_DIR",
        help="work dir of a finished and tested run, or a folder of such",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the files there")
    args = parser.parse_args(argv)
    from mmrbdc.analysis.reports.saving_report import saving_table, savings_of, write_saving_report
    from mmrbdc.analysis.reports.table import WIDTH
    from mmrbdc.analysis.study.variants import read_study
    from mmrbdc.terminal import console

    study = read_study(args.work_dirs)
    savings = savings_of(study)
    if args.out:
        for path in write_saving_report(study, savings, args.out):
            print(path)
    console(WIDTH).print(saving_table(study, savings))


if __name__ == "__main__":
    run_cli(main)
