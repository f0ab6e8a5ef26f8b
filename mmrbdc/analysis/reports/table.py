"""The comparison as tables for a terminal of 100 columns."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from mmrbdc.analysis.compare.groups import METRICS, Group, PairedDifference, Spread
from mmrbdc.analysis.units import format_time, shown_flops
from mmrbdc.terminal import shown

WIDTH = 100
HEADINGS = ("method", "family", "training FLOPs", *METRICS.values(), "wall time")


def comparison_table(found: Sequence[Group]) -> Table:
    """Make the table with one line per group: method, family, cost, accuracies, wall time."""
    return terminal_table("Comparison", HEADINGS, [group_cells(group) for group in found], 2)


def terminal_table(
    title: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    text_columns: int,
    note: str | None = None,
) -> Table:
    """Make a table for the terminal.

    Args:
        title: above it.
        headings: of the columns.
        rows: cells, as many as headings; one of several lines is rich's ``Text``.
        text_columns: how many of the first columns are words; the others are right-aligned numbers.
        note: below it.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        title=shown(title),
        title_justify="left",
        caption=note and shown(note, keep="\n"),
        caption_justify="left",
        pad_edge=False,
    )
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < text_columns else "right", overflow="fold")
    for row in rows:
        table.add_row(*(shown(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def group_cells(group: Group) -> tuple[str, ...]:
    """Return a group's cells in the order of ``HEADINGS``."""
    flops, wall = group.spread("train_flops"), group.spread("wall_s")
    return (
        group.label,
        group.family,
        shown_flops(flops.mean if flops else None),
        *(_accuracy(group, field) for field in METRICS),
        format_time(wall.mean) if wall else "-",
    )


def _accuracy(group: Group, field: str) -> str:
    """Show a metric; of a pretraining that is not compared itself, what its file says, marked."""
    if field == "top1" and group.spread("top1") is None and (own := group.spread("val_top1")):
        return f"{format_spread(own)} val"
    return format_spread(group.spread(field))


def differences_table(differences: Sequence[PairedDifference]) -> Table:
    """Make the table of differences between methods, paired by seed, in points."""
    return terminal_table(
        "Differences paired by seed, in points",
        DIFFERENCE_HEADINGS,
        [difference_cells(difference) for difference in differences],
        text_columns=3,
        note=differences_note(differences),
    )


DIFFERENCE_HEADINGS = ("difference", "family", "metric", "mean", "sd", "95 % t-interval", "p", "n")


def difference_cells(difference: PairedDifference) -> tuple[str, ...]:
    """Return a difference's cells in the order of ``DIFFERENCE_HEADINGS``."""
    spread = difference.spread
    low, high = difference.interval
    return (
        f"{difference.first} − {difference.second}",
        difference.family,
        METRICS[difference.field].removesuffix(" %"),
        f"{spread.mean:+.2f}",
        f"{spread.sd:.2f}",
        f"{low:+.2f} to {high:+.2f}",
        f"{difference.p_value:.3g}",
        str(spread.n),
    )


def differences_note(differences: Sequence[PairedDifference]) -> str:
    """Explain p and its smallest possible value."""
    n = max(len(difference.seeds) for difference in differences)
    return (
        "p: two-sided, exact sign-flip permutation test on the paired differences; "
        f"with {n} seeds it cannot be below {2 / 2**n:.3g}."
    )


def format_spread(spread: Spread | None) -> str:
    """Show a spread, e.g. '97.0 ± 0.4 (5)', '97.0' for a single run, '-' for none."""
    if spread is None:
        return "-"
    if spread.sd is None:
        return f"{spread.mean:.1f}"
    return f"{spread.mean:.1f} ± {spread.sd:.1f} ({spread.n})"
