"""The detections of one category, best score first: all that average precision needs of them."""

from dataclasses import dataclass

import numpy as np
from pycocotools.cocoeval import Params

_PARAMS = Params("bbox")

IOU_THRESHOLDS: np.ndarray = _PARAMS.iouThrs
"""COCO's T = 10 thresholds, 0.50 to 0.95."""

RECALL_THRESHOLDS: np.ndarray = _PARAMS.recThrs
"""COCO's R = 101 recalls at which precision is read, 0 to 1."""


@dataclass(frozen=True, eq=False)
class SortedDetections:
    """What became of D detections of one category in one area range, on I images.

    Attributes:
        images: (D,), the position of each detection's image among the images, best score first;
            equal scores stand in the order of their images.
        scores: (D,), falling.
        hits: (T, D), whether a detection found an object that counts.
        ignored: (T, D), whether a detection counts neither as right nor as wrong: it found a
            crowd or an object outside the area range, or found nothing and lies outside itself.
        positives: (I,), the objects to be found on each image.
    """

    images: np.ndarray
    scores: np.ndarray
    hits: np.ndarray
    ignored: np.ndarray
    positives: np.ndarray
