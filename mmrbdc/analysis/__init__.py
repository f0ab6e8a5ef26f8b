"""What finished runs are compared by: rows, tables, statistics and a report.

Reads the files that ``tools/train.py`` and ``tools/test.py`` leave in the work dirs, and nothing
else: no model is built here.
"""

from .errors import AnalysisError
from .report import report_html, write_report
from .rows import Comparison, Row, collect
from .statistics import Group, PairedDifference, Spread, groups, paired_differences
from .table import comparison_table, differences_table

__all__ = [
    "AnalysisError",
    "Comparison",
    "Group",
    "PairedDifference",
    "Row",
    "Spread",
    "collect",
    "comparison_table",
    "differences_table",
    "groups",
    "paired_differences",
    "report_html",
    "write_report",
]
