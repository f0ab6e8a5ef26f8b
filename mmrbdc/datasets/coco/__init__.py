"""COCO files: one reader, one set of rules, one index, for every tool that meets such a file.

``read_coco`` reads a file, ``judge`` says what is wrong with it, ``index`` gives pycocotools'
``COCO`` of what is left when nothing is. Nothing here imports OpenMMLab or knows of configs; the
room ``detection`` does both.
"""

from mmrbdc.datasets.coco.findings import Finding
from mmrbdc.datasets.coco.index import index, quietly
from mmrbdc.datasets.coco.judge import Verdict, judge
from mmrbdc.datasets.coco.reading import CocoFile, read_coco, read_json
from mmrbdc.datasets.coco.rle import rle_pixels
from mmrbdc.datasets.coco.table import Table

__all__ = [
    "CocoFile",
    "Finding",
    "Table",
    "Verdict",
    "index",
    "judge",
    "quietly",
    "read_coco",
    "read_json",
    "rle_pixels",
]
