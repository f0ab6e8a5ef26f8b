"""A comparison as text for a terminal of 100 columns."""

from mmrbdc.analysis.compare.findings import Findings
from mmrbdc.analysis.reports.detection_table import detection_tables
from mmrbdc.analysis.reports.table import WIDTH, comparison_table, differences_table, terminal_table
from mmrbdc.terminal import console, shown


def print_findings(findings: Findings) -> None:
    """Print the warnings and all tables that have something to show."""
    screen = console(WIDTH)
    for warning in findings.warnings:
        screen.print(f"WARNING: {shown(warning)}", style="bold red")
    if findings.are_runs:
        screen.print(comparison_table(findings.groups))
    for table in detection_tables(findings):
        screen.print(
            terminal_table(table.title, table.headings, table.rows, table.text_columns, table.note)
        )
        if table.note:
            screen.print()
    if findings.by_seed:
        screen.print(differences_table(findings.by_seed))
