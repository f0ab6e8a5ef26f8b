"""What finished runs are compared by: rows, tables, statistics and a report.

Reads the files that ``tools/train.py`` and ``tools/test.py`` leave in the work dirs, and nothing
else: no model is built here.
"""

from .differing_images import Picture, differing_images
from .errors import AnalysisError
from .findings import Findings, analyse
from .over_images import ImageDifference
from .prediction_files import from_predictions
from .report import report_html, write_report
from .rows import Comparison, Row, collect
from .statistics import Group, PairedDifference, Spread, groups, paired_differences
from .table import comparison_table, differences_table
from .terminal import print_findings

__all__ = [
    "AnalysisError",
    "Comparison",
    "Findings",
    "Group",
    "ImageDifference",
    "PairedDifference",
    "Picture",
    "Row",
    "Spread",
    "analyse",
    "collect",
    "comparison_table",
    "differences_table",
    "differing_images",
    "from_predictions",
    "groups",
    "paired_differences",
    "print_findings",
    "report_html",
    "write_report",
]
