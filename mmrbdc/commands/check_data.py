"""Count images and boxes of every class of a COCO-format data set, and look for what is wrong.

    mmrbdc check-data configs/custom/dataset.py
    mmrbdc check-data configs/mask-rcnn_rbdc-r50_coco.py
    mmrbdc check-data train.json val.json --images images/train images/val
    mmrbdc check-data train.json --renumber train-from-1.json

Give a config that has loaders, or annotation files; these also print the config's line `classes`.
The exit code is 1 where something has to be mended.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import CommandParser, add_config_options

if TYPE_CHECKING:
    from mmrbdc.datasets.inspect_coco import SplitReport


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser("check-data", __doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="a config, or annotation files")
    parser.add_argument(
        "--images",
        nargs="+",
        metavar="DIR",
        help="with annotation files: the folder of their images, or one folder for each",
    )
    parser.add_argument(
        "--renumber",
        metavar="NEW_FILE",
        help="write a copy of the one annotation file whose annotations are numbered from 1, for "
        "files that have the id 0 or an id twice, and look at that",
    )
    add_config_options(parser, "override the config")
    return parser.parse_args(argv)


def looked_at(args: argparse.Namespace) -> "tuple[list[SplitReport], list[str]]":
    """Look at what the command line asks for."""
    from mmrbdc.datasets.coco.renumber import renumber
    from mmrbdc.datasets.errors import DataError
    from mmrbdc.datasets.inspect_coco import CocoSplit, inspect, inspect_config
    from mmrbdc.engine.launch import load_config
    from mmrbdc.engine.options import merge_options

    if args.files[0].endswith(".py"):
        if len(args.files) > 1 or args.images or args.renumber:
            raise DataError("give one config, which says where its images are, and nothing else")
        cfg = load_config(args.files[0])
        merge_options(cfg, args.cfg_options)
        return inspect_config(cfg)
    if args.renumber:
        if len(args.files) > 1:
            raise DataError(f"--renumber takes one annotation file, got {len(args.files)}")
        renumber(Path(args.files[0]), Path(args.renumber))
        args.files = [args.renumber]
    folders = args.images or [None]
    folders = folders * len(args.files) if len(folders) == 1 else folders
    if len(folders) != len(args.files):
        raise DataError(
            f"--images names {len(folders)} folders for {len(args.files)} annotation files; give "
            "one for all, or one for each"
        )
    return inspect(
        [
            CocoSplit(name=Path(file).stem, ann_file=Path(file), images=folder and Path(folder))
            for file, folder in zip(args.files, folders, strict=True)
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print what the data set holds; exit with 1 where something is wrong with it."""
    args = parse_args(argv)
    from mmrbdc.datasets.show_coco import all_errors, class_lines, counts_table, finding_lines
    from mmrbdc.terminal import console, shown

    reports, errors = looked_at(args)
    screen = console()
    screen.print(counts_table(reports))
    lines = []
    if not args.files[0].endswith(".py"):
        lines += ["for the config:", *class_lines(reports), ""]
    lines += finding_lines(reports, errors)
    if any(report.split.images is None for report in reports):
        lines.append("note: no --images, so no image was looked at")
    for line in lines:
        screen.print(shown(line, keep="\n"), soft_wrap=True)
    wrong = all_errors(reports, errors)
    if wrong:
        screen.print(f"{wrong} thing{'s' * (wrong > 1)} to mend: see the errors above")
        sys.exit(1)
    screen.print("nothing has to be mended")
