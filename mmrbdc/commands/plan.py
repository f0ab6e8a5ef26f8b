"""Price a staged protocol before anything runs, or solve for the lengths that fit a budget.

mmrbdc plan configs/rbdc/deit-b_2step_in1k.py
mmrbdc plan configs/rbdc/deit-b_2step_in1k.py --budget 0.7 --ratio 1.5
mmrbdc plan configs/autoprog/deit-s_in1k.py --budget 0.5
mmrbdc plan configs/rbdc/deit-b_2step_in1k.py --memory --gpus 8 --amp --card-gb 24
mmrbdc plan configs/rbdc/deit-micro_2step_digits.py --measure
mmrbdc plan configs/mask-rcnn_rbdc-r50_coco.py --memory --card-gb 24
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmrbdc.commands.arguments import CommandParser, add_config_options

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmrbdc.plan import Plan

DEFAULT_RATIO = 1.5  # plan.solve's; written out, since that imports torch, and --help should not


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser("plan", __doc__)
    parser.add_argument(
        "config",
        help="staged config, for example configs/rbdc/*.py; with --memory a detector's too",
    )
    parser.add_argument(
        "--budget",
        type=float,
        help="plan lengths that spend this share of training from scratch",
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
    parser.add_argument(
        "--memory",
        action="store_true",
        help="count the memory of a training step of every stage, on any machine, in seconds to "
        "minutes",
    )
    parser.add_argument(
        "--measure",
        type=_positive,
        nargs="?",
        const=10,
        metavar="STEPS",
        help="take a few steps of every stage on the machine at hand (default 10), and say how "
        "many hours it will take and what bounds it; reads the data",
    )
    parser.add_argument(
        "--gpus",
        type=_positive,
        metavar="N",
        help="that train together, of --memory and --measure",
    )
    memory = parser.add_argument_group("with --memory")
    memory.add_argument(
        "--batch", type=_positive, metavar="B", help="images a GPU (default: the config's)"
    )
    memory.add_argument(
        "--amp",
        action=argparse.BooleanOptionalAction,
        help="as train's: bfloat16 autocast, or none (default: the config's)",
    )
    memory.add_argument(
        "--card-gb", type=float, metavar="GB", help="say whether it fits on such a card"
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the plan."""
    args = parse_args(argv)
    _import_classifiers()
    from mmrbdc.commands.plan_hours import print_hours, stages_speed
    from mmrbdc.commands.plan_memory import (
        counted_with_checkpoints,
        plan_detector,
        print_memory,
        stages_memory,
    )
    from mmrbdc.engine.checks.settings import check_parts, check_settings
    from mmrbdc.engine.checks.target import check_target
    from mmrbdc.engine.configs.cfg_options import merge_options
    from mmrbdc.engine.configs.loading import load_config, refuse_study
    from mmrbdc.engine.configs.staged_keys import is_staged
    from mmrbdc.engine.cost.disk import disk_line, protocol_bytes
    from mmrbdc.engine.cost.plan_inputs import plan_inputs
    from mmrbdc.engine.optim.amp import autocasts, set_autocast
    from mmrbdc.methods import parse_protocol, settled
    from mmrbdc.plan import PlanError, make_plan, ratio_words, solve_lengths, with_epochs
    from mmrbdc.plan.show import WIDTH, plan_notes, plan_table, progression_lines, stage_lines
    from mmrbdc.plan.values import plain
    from mmrbdc.terminal import console, shown

    of_memory = [
        f"--{name.replace('_', '-')}"
        for name in ("batch", "amp", "card_gb")
        if getattr(args, name) is not None
    ]
    if of_memory and not args.memory:
        raise PlanError(f"{', '.join(of_memory)} needs --memory, which counts a step's memory")
    if args.gpus and not (args.memory or args.measure):
        raise PlanError("--gpus needs --memory or --measure; FLOPs are the same on any number")
    if args.ratio is not None and args.budget is None:
        given = ratio_words(args.ratio)
        raise PlanError(f"--ratio {given} needs --budget, the share that is to be spent")
    cfg = load_config(args.config)
    refuse_study(cfg)
    merge_options(cfg, args.cfg_options)
    check_settings(cfg)
    if args.memory or args.measure:
        check_parts(cfg, "model", "train_dataloader", "train_cfg", "optim_wrapper")
    if args.amp is not None:
        set_autocast(cfg, args.amp)
    if args.memory and not is_staged(cfg):
        _only_memory(args)
        return plan_detector(
            cfg,
            gpus=args.gpus or 1,
            batch=args.batch,
            card_gb=args.card_gb,
            as_json=args.json,
        )
    solved: dict[str, Any] = {}
    if args.budget is not None and _makes_stages(cfg):
        if args.ratio is not None:
            raise PlanError(
                f"--ratio {ratio_words(args.ratio)} is given, but method {cfg.protocol.method!r} "
                "makes its own stages, whose lengths follow from the budget; leave --ratio out"
            )
        settings = _with_budget(plain(cfg.protocol), args.budget)
        cfg.protocol.progression = settings
        solved = {"budget": args.budget, "progression": settings}
    protocol = parse_protocol(cfg, name=Path(args.config).stem)
    check_target(cfg, protocol)
    options = cfg.get("cfg_options")
    inputs = plan_inputs(cfg, protocol, samples=args.samples, options=options)
    if args.budget is not None and not solved:
        ratio = DEFAULT_RATIO if args.ratio is None else args.ratio
        epochs = solve_lengths(protocol, **inputs, budget=args.budget, ratio=ratio)
        protocol = with_epochs(protocol, epochs)
        solved = {"budget": args.budget, "ratio": ratio, "epochs": epochs}
    plan = make_plan(protocol, **inputs)
    least = None
    if (smallest := settled(protocol, {}, largest=False)) != protocol:
        least_inputs = plan_inputs(cfg, smallest, samples=args.samples, options=options)
        least = make_plan(smallest, **least_inputs)

    written = protocol_bytes(cfg, plan) if cfg.get("optim_wrapper") else None
    memory = []
    gpus = args.gpus or 1
    count = partial(stages_memory, plan=plan, gpus=gpus, batch=args.batch)
    if args.memory:
        memory = list(count(cfg))
    speeds = list(stages_speed(cfg, plan, args.measure)) if args.measure else []
    if args.json:
        found = {**plan.to_dict(), **({"solved": solved} if solved else {})}
        if least is not None:
            found["range"] = {"largest": _end(plan), "smallest": _end(least)}
        if written:
            found["disk_bytes"] = written
        if memory:
            found["memory"] = {name: dict(asdict(one), peak=one.peak) for name, one in memory}
        if speeds:
            found["speed"] = {one.name: dict(asdict(one), hours=one.hours(gpus)) for one in speeds}
        print(json.dumps(found, indent=2))
        return
    screen = console(WIDTH)
    screen.print(shown(protocol.name), style="bold", end="")
    screen.print(f"  {protocol.method}, {protocol.family}")
    screen.print(plan_table(plan, least))
    for line in plan_notes(plan, least):
        screen.print(line)
    if written:
        screen.print(disk_line(written))
    if memory:
        print_memory(
            screen,
            memory,
            gpus=gpus,
            amp=autocasts(cfg),
            card_gb=args.card_gb,
            checkpointed=partial(counted_with_checkpoints, cfg, "mmpretrain", count),
        )
    if speeds:
        print_hours(screen, speeds, gpus=gpus)
    if "progression" in solved:
        screen.print(
            f"\nPlanned for {args.budget:.4g} of the reference; paste into the config's protocol:"
        )
        for line in progression_lines(solved["progression"]):
            screen.print(line)
    elif solved:
        screen.print(
            f"\nSolved for {args.budget:.4g} of the reference at ratio {ratio_words(ratio)}"
            f"{' (the default)' if args.ratio is None else ''}; paste into the config:"
        )
        for line in stage_lines(protocol):
            screen.print(line)


def _only_memory(args: argparse.Namespace) -> None:
    """Refuse what is of a protocol."""
    from mmrbdc.plan import PlanError

    given = [name for name in ("budget", "ratio", "samples", "measure") if getattr(args, name)]
    if given:
        options = ", ".join(f"--{name}" for name in given)
        raise PlanError(
            f"{options}: of a protocol, and {args.config} has no stages; of a detector --memory "
            "alone is planned"
        )


def _makes_stages(cfg: "Config") -> bool:
    """Whether the protocol's method makes its own stages; what is wrong with it is told later."""
    from mmrbdc.methods import find_method

    protocol = cfg.get("protocol")
    if not isinstance(protocol, dict) or not isinstance(protocol.get("progression", {}), dict):
        return False
    method = find_method(protocol.get("method", ""))
    return method is not None and method.makes_stages


def _with_budget(protocol: Mapping[str, Any], budget: float) -> dict[str, Any]:
    """What a protocol's ``progression`` says, with another budget."""
    settings = dict(protocol.get("progression", {}), budget=budget)
    return settings | ({"lengths": "budget"} if "lengths" in settings else {})


def _end(plan: "Plan") -> dict[str, Any]:
    """What searches decide of a plan."""
    last = plan.rows[-1]
    return {
        "total_flops": plan.total_flops,
        "share": plan.share,
        "last_stage": {"name": last.name, "epochs": last.epochs, "iters": last.iters},
    }


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


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
