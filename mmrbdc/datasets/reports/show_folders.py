"""The report on image folders, for people."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mmrbdc.datasets.reports.inspect_folders import FolderReport
from mmrbdc.terminal import shown


def images_table(reports: Sequence[FolderReport]) -> Table:
    """Images of every class in every split, and in all."""
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("class")
    for report in reports:
        table.add_column(f"{shown(report.name)}\nimages", justify="right")
    for name in dict.fromkeys(name for report in reports for name in report.class_images):
        table.add_row(shown(name), *(_cell(r, r.class_images[name]) for r in reports))
    table.add_section()
    table.add_row("all", *(_cell(report, report.images) for report in reports), style="bold")
    return table


def _cell(report: FolderReport, number: int) -> str:
    return f"{number:,}" if report.counted else "-"


def folder_lines(reports: Sequence[FolderReport], errors: Sequence[str]) -> list[str]:
    """What is wrong, split by split, and what is worth knowing."""
    lines = [f"error: {error}" for error in errors]
    for report in reports:
        lines += [f"error: {report.name}: {error}" for error in report.errors]
    for report in reports:
        lines += [f"note: {report.name}: {remark}" for remark in report.remarks]
    return lines
