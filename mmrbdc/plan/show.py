"""A plan for people: a table, and the same as text."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mmrbdc.plan.cost import Plan, PlanRow
from mmrbdc.plan.stages import Protocol
from mmrbdc.terminal import console, shown

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


def plan_table(plan: Plan) -> Table:
    """One row per stage, the total, and training from scratch; 100 columns suffice."""
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in ("stage", "member", "params"):
        table.add_column(heading, justify="right" if heading == "params" else "left")
    for heading in ("FLOPs/\nimage", "MACs/\nimage", "epochs", "iters", "training\nFLOPs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    sized = len({row.img_size for row in (*plan.rows, plan.reference)}) > 1
    for row in plan.rows:
        table.add_row(*_cells(row, sized))
    table.add_section()
    table.add_row("total", *[""] * 6, quantity(plan.total_flops), f"{plan.share:.2%}", style="bold")
    table.add_row(*_cells(plan.reference, sized), style="dim")
    return table


def plan_lines(plan: Plan) -> list[str]:
    """The table as plain text, then what a reader needs to know about its units."""
    screen = console(WIDTH)
    with screen.capture() as captured:
        screen.print(plan_table(plan))
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return [*filter(None, lines), *plan_notes(plan)]


def plan_notes(plan: Plan) -> list[str]:
    """What the table's figures mean."""
    feed = plan.feed
    return [
        f"{quantity(plan.total_flops)}FLOPs = {quantity(plan.total_flops / 2)}MACs (multiply-adds; "
        "papers call these FLOPs), all members of all stages.",
        f"An epoch: {feed.samples:,} samples, batch {feed.batch_size:,}, "
        f"{feed.iters_per_epoch:,} iterations.",
        *_growth_notes(plan),
        *_range_notes(plan),
        f"Reference: the target from scratch for {plan.protocol.reference_epochs:g} epochs.",
    ]


def _growth_notes(plan: Plan) -> list[str]:
    once = sum(row.growth_flops for row in plan.rows)
    share = once / plan.reference.flops
    return [f"Growing takes {quantity(once)}FLOPs of that, {share:.2%}."] if once else []


def _range_notes(plan: Plan) -> list[str]:
    open_ = [row.name for row in plan.rows if row.may_skip]
    if not open_:
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


def _cells(row: PlanRow, sized: bool) -> tuple[str, ...]:
    """A row's cells; the image size, where it differs between stages, stands behind the model."""
    return (
        shown(row.name),
        shown(row.label) + (f", {_pixels(row.img_size)}" if sized and row.img_size else ""),
        quantity(row.params),
        quantity(row.forward_flops),
        quantity(row.forward_flops / 2),
        f"{row.epochs:.2f}".rstrip("0").rstrip("."),
        f"{row.iters:,}",
        quantity(row.flops),
        f"{row.share:.2%}",
    )


def _pixels(size: tuple[int, int]) -> str:
    height, width = size
    return f"{height}px" if height == width else f"{height}x{width}px"
