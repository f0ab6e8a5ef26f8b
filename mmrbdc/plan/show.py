"""A plan for people: a table, and the same as text."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mmrbdc.plan.cost import Plan, PlanRow
from mmrbdc.plan.stages import Protocol
from mmrbdc.terminal import console, shown
from mmrbdc.wording import counted

WIDTH = 100
_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


def quantity(value: float) -> str:
    """Three significant digits and an SI prefix: ``quantity(2_507_000_000)`` is '2.51 G'."""
    power = 0
    while value >= 999.5 and power < len(_PREFIXES) - 1:
        value /= 1000
        power += 1
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f} {_PREFIXES[power]}".rstrip()


def in_bytes(count: float) -> str:
    """A number of bytes: ``in_bytes(2_507_000_000)`` is '2.51 GB'."""
    return f"{quantity(count)}B" if count >= 999.5 else f"{count:.0f} B"


def plan_table(plan: Plan, least: Plan | None = None) -> Table:
    """One row per stage, the total, and training from scratch; 100 columns suffice.

    Args:
        plan: where searches decide stages, as if all that are to come found their largest sub-net.
        least: as if they found their smallest; ``None`` where nothing is left to find.
    """
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    table.add_column("member")
    table.add_column("params", justify="right")
    for heading in ("FLOPs/\nimage", "MACs/\nimage", "epochs", "iters", "training\nFLOPs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    sized = len({row.img_size for row in (*plan.rows, plan.reference)}) > 1
    sized |= any(row.searching for row in plan.rows)
    others = least.rows if least is not None else plan.rows
    for row, other in zip(plan.rows, others, strict=True):
        table.add_row(*_cells(row, sized, other))
    table.add_section()
    table.add_row("total", *[""] * 6, quantity(plan.total_flops), f"{plan.share:.2%}", style="bold")
    table.add_row(*_cells(plan.reference, sized), style="dim")
    return table


def plan_lines(plan: Plan, least: Plan | None = None) -> list[str]:
    """The table as plain text, then what a reader needs to know about its units."""
    screen = console(WIDTH)
    with screen.capture() as captured:
        screen.print(plan_table(plan, least))
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return [*filter(None, lines), *plan_notes(plan, least)]


def plan_notes(plan: Plan, least: Plan | None = None) -> list[str]:
    """What the table's figures mean."""
    feed = plan.feed
    return [
        f"{quantity(plan.total_flops)}FLOPs = {quantity(plan.total_flops / 2)}MACs (multiply-adds; "
        "papers call these FLOPs), all members of all stages.",
        f"An epoch: {feed.samples:,} samples, batch {feed.batch_size:,}, "
        f"{feed.iters_per_epoch:,} iterations.",
        *_growth_notes(plan),
        *_judging_notes(plan),
        *_range_notes(plan),
        *(_search_notes(plan, least) if least is not None else []),
        f"Reference: the target from scratch for {plan.protocol.reference_epochs:g} epochs.",
    ]


def _growth_notes(plan: Plan) -> list[str]:
    once = sum(row.growth_flops for row in plan.rows)
    share = once / plan.reference.flops
    return [f"Growing takes {quantity(once)}FLOPs of that, {share:.2%}."] if once else []


def _judging_notes(plan: Plan) -> list[str]:
    judging = sum(row.judging_flops for row in plan.rows if not row.skipped)
    share = judging / plan.reference.flops
    return [f"Judging takes {quantity(judging)}FLOPs of that, {share:.2%}."] if judging else []


def _search_notes(plan: Plan, least: Plan) -> list[str]:
    """The range that searches leave open, from end to end."""
    ends = [
        f"{one.rows[-1].name} has {_epochs(one.rows[-1])} epochs, "
        f"{quantity(one.total_flops)}FLOPs in all ({one.share:.2%})"
        for one in (plan, least)
    ]
    return [
        "What the searches to come choose decides the rest:",
        f"  always the largest sub-net, as above: {ends[0]};",
        f"  always the smallest: {ends[1]}.",
    ]


def _range_notes(plan: Plan) -> list[str]:
    open_ = [row.name for row in plan.rows if row.may_skip]
    if not open_ or plan.protocol.progression is not None:
        return []
    return [
        f"What it finds on the way may leave out {', '.join(open_)}: between "
        f"{quantity(plan.least_flops)}FLOPs and {quantity(plan.total_flops)}FLOPs in all."
    ]


def stage_lines(protocol: Protocol) -> list[str]:
    """The stages in a config's own syntax, for a protocol whose lengths are epochs."""
    lines = ["stages = ["]
    for stage in protocol.stages:
        kept = f"  # and keep: {', '.join(stage.overrides)}" if stage.overrides else ""
        inner = "" if stage.inner == 1 else f"inner='{stage.inner}', "
        depth = "" if stage.depth == 1 else f"depth='{stage.depth}', "
        warmup = "" if stage.warmup is None else f", warmup={stage.warmup:g}"
        pixels = "" if stage.img_size is None else f"img_size={stage.img_size}, "
        lines.append(
            f"    dict(members={stage.members}, width='{stage.width}', {inner}{depth}{pixels}"
            f"epochs={stage.epochs:.12g}{warmup}),{kept}"
        )
    return [*lines, "]"]


def progression_lines(settings: Mapping[str, Any]) -> list[str]:
    """What a config's protocol says of a method that makes its stages, in its own syntax."""
    return [f"progression = dict({', '.join(f'{key}={v!r}' for key, v in settings.items())})"]


def _cells(row: PlanRow, sized: bool, least: PlanRow | None = None) -> tuple[str, ...]:
    """A row's cells; the image size, where it may differ between stages, stands behind the model.

    Args:
        row: of the plan.
        sized: whether image sizes are shown.
        least: the row as small as searches may make it; the same for those that are decided.
    """
    least = least or row
    if row.skipped:
        return (shown(row.name), f"left out {'as' if least.skipped else 'if'} the model is whole")
    label = shown(row.label) + (f", {_pixels(row.img_size)}" if sized and row.img_size else "")
    one = (quantity(row.forward_flops), quantity(row.forward_flops / 2))
    if row.searching:
        label, one = _tried(row), ("", "")
    elif (row.depth, row.img_size) != (least.depth, least.img_size):
        label = f"up to {label}"
    return (
        shown(row.name),
        label,
        quantity(row.params),
        *one,
        _epochs(row),
        f"{row.iters:,}",
        quantity(row.flops),
        f"{row.share:.2%}",
    )


def _tried(row: PlanRow) -> str:
    """What a search chooses from."""
    ranges = [
        f"{min(values)} {unit}"
        if min(values) == max(values)
        else f"{min(values)} to {max(values)} {unit}"
        for values, unit in zip(zip(*row.searching, strict=True), ("blocks", "px"), strict=True)
    ]
    return f"{counted(len(row.searching), 'sub-net')}, {', '.join(ranges)}"


def _epochs(row: PlanRow) -> str:
    return f"{row.epochs:.2f}".rstrip("0").rstrip(".")


def _pixels(size: tuple[int, int]) -> str:
    height, width = size
    return f"{height}px" if height == width else f"{height}x{width}px"
