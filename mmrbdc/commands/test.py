"""Test a trained model on the config's test split and write the figures to <work dir>/test.json.

    mmrbdc test configs/rbdc/deit-micro_2step_digits.py
    mmrbdc test configs/mask-rcnn_rbdc-r50_coco.py my_detector.pth

A staged config tests its final model; a detector without a checkpoint argument tests the newest
checkpoint of its work dir, and leaves its predictions (predictions.bbox.json and .segm.json, COCO's
result format) and its throughput there too, for a comparison.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmrbdc.commands.arguments import CommandParser, add_run_arguments, check_writable


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser("test", __doc__)
    add_run_arguments(parser)
    parser.add_argument(
        "checkpoint", nargs="?", help="checkpoint file (default: what training left)"
    )
    parser.add_argument(
        "--weights", choices=["raw", "ema"], help="which weights of a checkpoint that holds both"
    )
    parser.add_argument("--out", help="where the figures go (default <work dir>/test.json)")
    parser.add_argument("--show-dir", help="draw predictions into this folder of the work dir")
    parser.add_argument(
        "--max-dets",
        type=int,
        metavar="N",
        help="detections an image and class that COCO's AP counts (default: the config's, or 100)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Load the config, test, print and store the figures."""
    args = parse_args(argv)
    if args.out:
        check_writable("--out", Path(args.out).parent)
    from mmrbdc.engine.configs.loading import load_config
    from mmrbdc.engine.launch import prepare_config, test

    cfg = prepare_config(
        load_config(args.config),
        options=args.cfg_options,
        work_dir=args.work_dir,
        launcher=args.launcher,
    )
    metrics = test(
        cfg,
        args.checkpoint,
        weights=args.weights,
        show_dir=args.show_dir,
        out=args.out,
        max_dets=args.max_dets,
    )
    for name, value in metrics.items():
        print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
