"""What finished runs are compared by: rows, tables, statistics and a report.

Reads the files that ``tools/train.py`` and ``tools/test.py`` leave in the work dirs, and nothing
else: no model is built here.
"""

from mmrbdc.analysis.compare.differing_images import Picture, differing_images
from mmrbdc.analysis.compare.findings import Findings, analyse
from mmrbdc.analysis.compare.groups import (
    Group,
    PairedDifference,
    Spread,
    groups,
    paired_differences,
)
from mmrbdc.analysis.compare.over_images import ImageDifference
from mmrbdc.analysis.reading.prediction_files import from_predictions
from mmrbdc.analysis.reading.rows import Comparison, Row, collect
from mmrbdc.analysis.reports.comparison_page import report_html, write_report
from mmrbdc.analysis.reports.table import comparison_table, differences_table
from mmrbdc.analysis.reports.terminal import print_findings
from mmrbdc.runs.errors import AnalysisError

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
