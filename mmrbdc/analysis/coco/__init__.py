"""COCO predictions compared: AP as pycocotools computes it, the paired bootstrap, pictures."""

from .annotations import Annotations, read_annotations
from .bootstrap import PairedBootstrap, paired_bootstrap
from .differences import found_shares, most_different_images
from .matching import METRICS, Matches, match
from .pictures import side_by_side
from .predictions import IoUType, Predictions, read_predictions

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
