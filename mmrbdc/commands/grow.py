"""Couple checkpoint files of narrow models into one wide model, block-diagonally.

mmrbdc grow --config mmpretrain::deit/deit-base_16xb64_in1k.py \\
        --parents small0.pth small1.pth --out base.pth
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmrbdc.commands.arguments import CommandParser, check_writable

# Written out, since the growth operators import torch, and --help should not; a test compares.
OPERATORS = (
    "block-diagonal, averaging, self-coupling, net2net, net2net-noise, tiling, aki, gradmax, "
    "firefly, keep, concatenation, incubation, extraction, assembly, reinit, mixture-growth, "
    "mixture-growth-copy, mixture-growth-zero, mixture-growth-random"
)
DEPTH_OPERATORS = ("stack", "adjacent", "adjacent-last")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        "grow",
        __doc__,
        epilog="CONFIG is a config file, an ordinary or a staged one, or the name of one that\n"
        "MMPretrain ships, like mmpretrain::resnet/resnet50_8xb32_in1k.py.",
    )
    parser.add_argument("--config", required=True, help="config of the wide model")
    parser.add_argument(
        "--parents",
        required=True,
        nargs="+",
        metavar="FILE",
        help="state dicts or MMEngine checkpoints, in the order in which they are placed",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="where the wide model goes")
    parser.add_argument(
        "--parent-config",
        nargs="+",
        default=[],
        metavar="CONFIG",
        help="config of the parents, one for all or one each; without it a file's own word is "
        "taken, or the child's head size",
    )
    parser.add_argument(
        "--operator", default="block-diagonal", help=f"growth operator: {OPERATORS}"
    )
    parser.add_argument(
        "--imports",
        nargs="+",
        default=[],
        metavar="MODULE",
        help="modules that register operators of your own",
    )
    parser.add_argument(
        "--depth-operator",
        choices=DEPTH_OPERATORS,
        help="deepen parents that have fewer blocks than the child: the whole stack again, or each "
        "block next to its copies (adjacent-last: where some have one more, the last have); for "
        "models whose blocks are all alike",
    )
    parser.add_argument(
        "--resize-positions",
        action="store_true",
        help="resize the position tables of parents of another image size",
    )
    parser.add_argument("--report", metavar="FILE", help="write what was done as JSON")
    parser.add_argument(
        "--weights", choices=("raw", "ema"), help="which weights to take from files with both"
    )
    parser.add_argument(
        "--allow-equal-parents", action="store_true", help="accept parents with the same weights"
    )
    parser.add_argument(
        "--allow-different-data",
        action="store_true",
        help="accept parents whose files record other means, deviations, channel orders or classes",
    )
    parser.add_argument("--seed", type=int, default=0, help="of operators that draw (default 0)")
    parser.add_argument("--force", action="store_true", help="overwrite --out and --report")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Grow, print what was done, write."""
    args = parse_args(argv)
    check_writable("--out", Path(args.out).parent)
    if args.report:
        check_writable("--report", Path(args.report).parent)
    from mmrbdc.growth import get_operator, import_operators

    import_operators(args.imports, "--imports")
    get_operator(args.operator)
    # MMEngine takes seconds to import: not before the command line is known to be right.
    from mmrbdc.engine.junctions.grow_files import check_targets, grow_files, write_grown

    targets = [args.out, *([args.report] if args.report else [])]
    check_targets(targets, args.parents, force=args.force)
    grown = grow_files(
        args.config,
        args.parents,
        parent_configs=args.parent_config,
        operator=args.operator,
        weights=args.weights,
        allow_equal=args.allow_equal_parents,
        seed=args.seed,
        depth_operator=args.depth_operator,
        resize_positions=args.resize_positions,
        different_data=args.allow_different_data,
    )
    print("\n".join(grown.lines()))
    write_grown(grown, args.out, args.report)
    size = Path(args.out).stat().st_size / 1e6
    print(f"\nsaved {args.out} ({size:.1f} MB)" + (f", {args.report}" if args.report else ""))
