"""Compare finished runs, or prediction files, in tables, and with --out in a report.

    mmrbdc compare work_dirs/demo --out work_dirs/demo
    mmrbdc compare --annotations instances_val2017.json \\
        --predictions rbdc=a.bbox.json rbdc=a.segm.json scratch=b.bbox.json scratch=b.segm.json

A pretraining and the detectors fine-tuned from its checkpoint become one row each; several seeds
of a method become one line with mean and spread. Runs that differ in their learning rate alone are
one row's grid: the best by validation AP is shown, the grid below it. Every two methods are
compared by AP paired by seed, and by a paired bootstrap over the test images.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmrbdc.commands.arguments import CommandParser, check_writable

if TYPE_CHECKING:
    from mmrbdc.analysis import Comparison


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser("compare", __doc__)
    parser.add_argument(
        "work_dirs",
        nargs="*",
        type=Path,
        metavar="WORK_DIR",
        help="work dir of a finished and tested run, or a folder of such",
    )
    parser.add_argument(
        "--predictions",
        nargs="+",
        metavar="NAME=FILE",
        help="COCO result files instead of work dirs; a repeated name is a further seed",
    )
    parser.add_argument(
        "--annotations",
        type=Path,
        metavar="FILE",
        help="COCO annotations of the test images (default: those that the tests used)",
    )
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="folder of the test images, for the pictures"
    )
    parser.add_argument(
        "--max-dets",
        type=int,
        metavar="N",
        help="detections an image and class that AP counts (default: what the tests counted, or "
        "100)",
    )
    parser.add_argument(
        "--resamples",
        type=int,
        default=1000,
        help="of the bootstrap over images; 0 leaves predictions unread (default 1000)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write comparison.csv, results.json, differences.json and report.html there",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the comparison; write the report where one is asked for."""
    args = parse_args(argv)
    if args.out:
        check_writable("--out", args.out)
    from mmrbdc.analysis import (
        AnalysisError,
        analyse,
        differing_images,
        print_findings,
        write_report,
    )

    if args.images and not args.images.is_dir():
        raise AnalysisError(f"--images {args.images} is not a folder; name that of the test images")
    findings = analyse(
        _read(args),
        resamples=args.resamples,
        annotations=args.annotations,
        max_dets=args.max_dets,
    )
    print_findings(findings)
    if args.out:
        pictures = differing_images(findings, args.images)
        for path in write_report(findings, args.out, pictures).values():
            print(path)


def _read(args: argparse.Namespace) -> "Comparison":
    from mmrbdc.analysis import AnalysisError, collect, from_predictions

    if args.resamples < 0:
        raise AnalysisError(f"--resamples should be 0 or more, got {args.resamples}")
    if not args.predictions:
        return collect(args.work_dirs)
    if args.work_dirs:
        raise AnalysisError("give work dirs or --predictions, not both")
    if args.annotations is None:
        raise AnalysisError("--predictions needs --annotations, the file they are scored with")
    if args.resamples == 0:
        raise AnalysisError("--resamples 0 reads no predictions; leave it out with --predictions")
    return from_predictions(args.predictions, args.annotations, args.images)
