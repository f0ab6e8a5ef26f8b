"""The comparison as tables for a terminal of 100 columns."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from .statistics import METRICS, Group, PairedDifference, Spread
from .units import format_flops, format_time

WIDTH = 100
HEADINGS = ("method", "family", "training FLOPs", *METRICS.values(), "wall time")


def comparison_table(found: Sequence[Group]) -> Table:
    """Make the table with one line per group: method, family, cost, accuracies, wall time."""
    table = Table(box=box.SIMPLE_HEAD, title="Comparison", title_justify="left", pad_edge=False)
    for heading in HEADINGS:
        text_column = heading in ("method", "family")
        table.add_column(
            heading, justify="left" if text_column else "right", overflow="fold", no_wrap=False
        )
    for group in found:
        table.add_row(*group_cells(group))
    return table


def group_cells(group: Group) -> tuple[str, ...]:
    """Return a group's cells in the order of ``HEADINGS``."""
    flops, wall = group.spread("train_flops"), group.spread("wall_s")
    assert flops is not None
    return (
        group.label,
        group.family,
        format_flops(flops.mean) if flops.mean else "none",
        *(format_spread(group.spread(field)) for field in METRICS),
        format_time(wall.mean) if wall else "-",
    )


def differences_table(differences: Sequence[PairedDifference]) -> Table:
    """Make the table of differences between methods, paired by seed, in points."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title="Differences paired by seed, in points",
        title_justify="left",
        caption=differences_note(differences),
        caption_justify="left",
        pad_edge=False,
    )
    for i, heading in enumerate(DIFFERENCE_HEADINGS):
        table.add_column(heading, justify="left" if i < 3 else "right", overflow="fold")
    for difference in differences:
        table.add_row(*difference_cells(difference))
    return table


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
