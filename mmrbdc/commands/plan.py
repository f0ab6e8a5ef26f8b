"""Price a staged protocol before anything runs, or solve for the lengths that fit a budget.

mmrbdc plan configs/rbdc/deit-b_2step_in1k.py
mmrbdc plan configs/rbdc/deit-b_2step_in1k.py --budget 0.7 --ratio 1.5
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mmrbdc.commands.arguments import CommandParser, add_config_options

DEFAULT_RATIO = 1.5  # plan.solve's; written out, since that imports torch, and --help should not


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser("plan", __doc__)
    parser.add_argument("config", help="staged config, for example configs/rbdc/*.py")
    parser.add_argument(
        "--budget",
        type=float,
        help="solve for the stages' epochs that spend this share of training from scratch",
    )
    parser.add_argument(
        "--ratio",
        type=_ratio,
        metavar="RATIO",
        help="with --budget: epochs of a stage over epochs of the next, wider one "
        f"(default {DEFAULT_RATIO}), or the relative lengths of all stages, such as 3:1:1",
    )
    parser.add_argument(
        "--samples", type=int, help="training samples (default protocol.train_samples)"
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the plan."""
    args = parse_args(argv)
    _import_classifiers()
    from mmrbdc.engine.checks.settings import check_settings
    from mmrbdc.engine.checks.target import check_target
    from mmrbdc.engine.configs.cfg_options import merge_options
    from mmrbdc.engine.configs.loading import load_config, refuse_study
    from mmrbdc.engine.cost.plan_inputs import plan_inputs
    from mmrbdc.methods import parse_protocol
    from mmrbdc.plan import PlanError, make_plan, ratio_words, solve_lengths, with_epochs
    from mmrbdc.plan.show import WIDTH, plan_notes, plan_table, stage_lines
    from mmrbdc.terminal import console, shown

    if args.ratio is not None and args.budget is None:
        given = ratio_words(args.ratio)
        raise PlanError(f"--ratio {given} needs --budget, the share that is to be spent")
    cfg = load_config(args.config)
    refuse_study(cfg)
    merge_options(cfg, args.cfg_options)
    check_settings(cfg)
    protocol = parse_protocol(cfg, name=Path(args.config).stem)
    check_target(cfg, protocol)
    inputs = plan_inputs(cfg, protocol, samples=args.samples, options=cfg.get("cfg_options"))
    solved = {}
    if args.budget is not None:
        ratio = DEFAULT_RATIO if args.ratio is None else args.ratio
        epochs = solve_lengths(protocol, **inputs, budget=args.budget, ratio=ratio)
        protocol = with_epochs(protocol, epochs)
        solved = {"budget": args.budget, "ratio": ratio, "epochs": epochs}
    plan = make_plan(protocol, **inputs)

    if args.json:
        print(json.dumps({**plan.to_dict(), **({"solved": solved} if solved else {})}, indent=2))
        return
    screen = console(WIDTH)
    screen.print(shown(protocol.name), style="bold", end="")
    screen.print(f"  {protocol.method}, {protocol.family}")
    screen.print(plan_table(plan))
    for line in plan_notes(plan):
        screen.print(line)
    if solved:
        screen.print(
            f"\nSolved for {args.budget:.4g} of the reference at ratio {ratio_words(ratio)}"
            f"{' (the default)' if args.ratio is None else ''}; paste into the config:"
        )
        for line in stage_lines(protocol):
            screen.print(line)


def _ratio(text: str) -> float | list[float]:
    """A number, or numbers with colons between them."""
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number nor relative lengths such as 3:1:1"
        ) from None
    return numbers if len(numbers) > 1 else numbers[0]


def _import_classifiers() -> None:
    """Import MMPretrain's models without MMDetection, which takes seconds.

    MMPretrain imports it where it is installed, for one layer of a detector; here only classifiers
    are built. What imports it afterwards gets it.
    """
    if "mmdet" in sys.modules or "mmpretrain.models" in sys.modules:
        return
    sys.modules["mmdet"] = None  # type: ignore[assignment]  # how Python notes what is not there
    try:
        import mmpretrain.models  # noqa: F401
    finally:
        del sys.modules["mmdet"]
