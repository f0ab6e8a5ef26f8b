"""A comparison as text for a terminal of 100 columns."""

from rich.console import Console

from .detection_table import detection_tables
from .findings import Findings
from .table import WIDTH, comparison_table, differences_table, terminal_table


def print_findings(findings: Findings) -> None:
    """Print the warnings and all tables that have something to show."""
    console = Console(width=WIDTH, highlight=False)
    for warning in findings.warnings:
        console.print(f"WARNING: {warning}", style="bold red", markup=False)
    if findings.are_runs:
        console.print(comparison_table(findings.groups))
    for table in detection_tables(findings):
        console.print(
            terminal_table(table.title, table.headings, table.rows, table.text_columns, table.note)
        )
        if table.note:
            console.print()
    if findings.by_seed:
        console.print(differences_table(findings.by_seed))
