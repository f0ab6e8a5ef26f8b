"""The reports on a data set in COCO's format, for people."""

from collections.abc import Sequence
from itertools import chain

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mmrbdc.datasets.reports.inspect_coco import SplitReport
from mmrbdc.terminal import shown


def counts_table(reports: Sequence[SplitReport]) -> Table:
    """Images and boxes of every class in every split, and in all."""
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("class")
    for report in reports:
        for what in ("images", "boxes"):
            table.add_column(f"{shown(report.split.name)}\n{what}", justify="right")
    for name in dict.fromkeys(name for report in reports for name in report.classes):
        counts = [_cells(r, r.class_images[name], r.class_boxes[name]) for r in reports]
        table.add_row(shown(name), *chain.from_iterable(counts))
    table.add_section()
    whole = [_cells(report, report.images, report.boxes) for report in reports]
    table.add_row("all", *chain.from_iterable(whole), style="bold")
    return table


def _cells(report: SplitReport, *numbers: int) -> list[str]:
    return [f"{number:,}" if report.counted else "-" for number in numbers]


def class_lines(reports: Sequence[SplitReport]) -> list[str]:
    """The classes in a config's own syntax, in the order in which MMDetection numbers them."""
    known = next((report.classes for report in reports if report.counted), None)
    if known is None:
        return ["(no file could be read)"]
    names = "".join(f"    {name!r},\n" for name in known)
    return [f"classes = (\n{names})"]


def finding_lines(
    reports: Sequence[SplitReport], errors: Sequence[str], remarks: Sequence[str] = ()
) -> list[str]:
    """What is wrong, split by split, and what is worth knowing, of splits and beyond them."""
    lines = [f"error: {error}" for error in errors]
    for report in reports:
        lines += [f"error: {report.split.name}: {error}" for error in report.errors]
    for report in reports:
        lines += [f"note: {report.split.name}: {remark}" for remark in report.remarks]
    return lines + [f"note: {remark}" for remark in remarks]


def all_errors(reports: Sequence[SplitReport], errors: Sequence[str]) -> int:
    """How many kinds of errors there are."""
    return len(errors) + sum(len(report.errors) for report in reports)
