"""Count images and boxes of every class of a data set, and look for what is wrong with it.

    mmrbdc check-data configs/custom/dataset.py
    mmrbdc check-data configs/mask-rcnn_rbdc-r50_coco.py
    mmrbdc check-data configs/rbdc/deit-micro_2step_digits.py
    mmrbdc check-data train.json val.json --images images/train images/val
    mmrbdc check-data train.json --renumber train-from-1.json

Give a config that has loaders of COCO's format, image folders or image lists; or annotation files,
which also print the config's line `classes`. All images are decoded as training does (--fast: not).
The exit code is 1 where there is an error.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmrbdc.commands.arguments import CommandParser, add_config_options, check_writable
from mmrbdc.wording import counted

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmrbdc.datasets.reports.inspect_coco import SplitReport


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
        "--fast",
        action="store_true",
        help="look at the headers of the images only, decode none",
    )
    parser.add_argument(
        "--renumber",
        metavar="NEW_FILE",
        help="write a copy of the one annotation file whose annotations are numbered from 1, for "
        "files that have the id 0 or an id twice, and look at that",
    )
    add_config_options(parser, "override the config")
    return parser.parse_args(argv)


def read_config(args: argparse.Namespace) -> "Config | None":
    """The config of the command line; None where it names annotation files."""
    from mmrbdc.datasets.errors import DataError
    from mmrbdc.engine.configs.cfg_options import merge_options
    from mmrbdc.engine.configs.loading import load_config, refuse_study

    if not args.files[0].endswith(".py"):
        return None
    if len(args.files) > 1 or args.images or args.renumber:
        raise DataError("give one config, which says where its images are, and nothing else")
    cfg = load_config(args.files[0])
    refuse_study(cfg)
    merge_options(cfg, args.cfg_options)
    return cfg


def look_at_files(args: argparse.Namespace) -> "tuple[list[SplitReport], list[str]]":
    """Look at the annotation files of the command line."""
    from mmrbdc.datasets.coco.renumber import renumber
    from mmrbdc.datasets.errors import DataError
    from mmrbdc.datasets.reports.inspect_coco import CocoSplit, inspect

    if args.renumber:
        if len(args.files) > 1:
            raise DataError(f"--renumber takes one annotation file, got {len(args.files)}")
        check_writable("--renumber", Path(args.renumber).parent)
        renumber(Path(args.files[0]), Path(args.renumber))
        args.files = [args.renumber]
    folders = args.images or [None]
    folders = folders * len(args.files) if len(folders) == 1 else folders
    if len(folders) != len(args.files):
        raise DataError(
            f"--images names {len(folders)} folders for {len(args.files)} annotation files; give "
            "one for all, or one for each"
        )
    twice = [file for file in args.files if args.files.count(file) > 1]
    if twice:
        raise DataError(f"{twice[0]} is given twice; give each annotation file once")
    none = [folder for folder in folders if folder and not Path(folder).is_dir()]
    if none:
        raise DataError(f"--images {none[0]} is not a folder; name that of the images")
    return inspect(
        [
            CocoSplit(
                name=Path(file).stem,
                ann_file=Path(file),
                images=folder and Path(folder),
                fast=args.fast,
            )
            for file, folder in zip(args.files, folders, strict=True)
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print what the data set holds; exit with 1 where something is wrong with it."""
    args = parse_args(argv)
    from mmrbdc.datasets.reports.inspect_coco import images_of_splits, inspect_config
    from mmrbdc.datasets.reports.inspect_folders import inspect_folders, reads_folders
    from mmrbdc.datasets.reports.show_coco import (
        all_errors,
        class_lines,
        counts_table,
        finding_lines,
    )
    from mmrbdc.datasets.reports.show_folders import folder_lines, images_table
    from mmrbdc.engine.checks.first_step import count_errors
    from mmrbdc.engine.checks.loop_parts import loop_errors
    from mmrbdc.engine.checks.metric_trial import scoring_errors
    from mmrbdc.ops import NO_OPS, has_ops
    from mmrbdc.terminal import console, shown

    screen = console()
    cfg = read_config(args)
    lines = []
    if cfg is not None and reads_folders(cfg):
        found, errors = inspect_folders(cfg, fast=args.fast)
        errors = errors or loop_errors(cfg) or scoring_errors(cfg)
        screen.print(images_table(found))
        lines += folder_lines(found, errors)
        wrong = len(errors) + sum(len(report.errors) for report in found)
    else:
        remarks: list[str] = []
        if cfg is None:
            reports, errors = look_at_files(args)
        else:
            reports, errors, remarks = inspect_config(cfg, fast=args.fast)
            errors += count_errors(cfg, images_of_splits(cfg, reports))
            errors = errors or loop_errors(cfg)
            if has_ops():
                errors = errors or scoring_errors(cfg)
            else:
                remarks = [*remarks, f"the evaluators were not tried: {NO_OPS}"]
        screen.print(counts_table(reports))
        if cfg is None:
            lines += ["for the config:", *class_lines(reports), ""]
        lines += finding_lines(reports, errors, remarks)
        if any(report.split.images is None for report in reports):
            lines.append("note: no --images, so no image was looked at")
        wrong = all_errors(reports, errors)
    if args.fast:
        lines.append("note: --fast: no image was decoded, so damaged ones may be among them")
    for line in lines:
        screen.print(shown(line, keep="\n"), soft_wrap=True)
    if wrong:
        screen.print(f"{counted(wrong, 'error')} to correct: see above")
        sys.exit(1)
    screen.print("no errors found")
