"""Train a config: a staged protocol of mmrbdc, or any run of MMPretrain's or MMDetection's kind.

mmrbdc train configs/rbdc/deit-micro_2step_digits.py
mmrbdc train configs/rbdc/deit-micro_2step_digits.py --resume
mmrbdc train configs/rbdc/deit-b_2step_in1k.py --stage 0 --member 2
mmrbdc train configs/mask-rcnn_rbdc-r50_coco.py --cfg-options train_dataloader.batch_size=4
"""

import argparse
from collections.abc import Sequence

from mmrbdc.commands.arguments import CommandParser, add_run_arguments


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser("train", __doc__)
    add_run_arguments(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from what the work dir holds, if it holds anything",
    )
    parser.add_argument(
        "--stage",
        type=int,
        metavar="I",
        help="of a protocol, train this stage only (0 is the narrowest)",
    )
    parser.add_argument(
        "--member",
        type=int,
        nargs="+",
        metavar="J",
        help="of --stage, train these members only, beside other jobs that train the others",
    )
    parser.add_argument(
        "--seed", type=int, help="seed of everything that is drawn (default: the config's)"
    )
    parser.add_argument(
        "--amp",
        action=argparse.BooleanOptionalAction,
        help="bfloat16 autocast, or none (default: the config's)",
    )
    parser.add_argument(
        "--no-validate", action="store_true", help="do not validate during training"
    )
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by the real batch over auto_scale_lr.base_batch_size",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Load the config, apply the command line, train."""
    args = parse_args(argv)
    from mmrbdc.engine.configs.loading import load_config
    from mmrbdc.engine.launch import prepare_config, train

    cfg = prepare_config(
        load_config(args.config),
        options=args.cfg_options,
        work_dir=args.work_dir,
        resume=args.resume,
        seed=args.seed,
        amp=args.amp,
        validate=not args.no_validate,
        auto_scale_lr=args.auto_scale_lr,
        launcher=args.launcher,
    )
    train(cfg, args.stage, args.member)
