"""COCO predictions compared: AP as pycocotools computes it, the paired bootstrap, pictures."""

from mmrbdc.analysis.coco.annotations import Annotations, read_annotations
from mmrbdc.analysis.coco.bootstrap import PairedBootstrap, paired_bootstrap
from mmrbdc.analysis.coco.differences import found_shares, most_different_images
from mmrbdc.analysis.coco.matching import METRICS, Matches, match
from mmrbdc.analysis.coco.pictures import side_by_side
from mmrbdc.analysis.coco.predictions import IoUType, Predictions, read_predictions

__all__ = [
    "METRICS",
    "Annotations",
    "IoUType",
    "Matches",
    "PairedBootstrap",
    "Predictions",
    "found_shares",
    "match",
    "most_different_images",
    "paired_bootstrap",
    "read_annotations",
    "read_predictions",
    "side_by_side",
]
