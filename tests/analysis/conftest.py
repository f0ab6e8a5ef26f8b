"""Tested detectors."""

import cv2
import numpy as np
import pytest

from tests.analysis.coco.coco_files import HEIGHT, WIDTH
from tests.analysis.detector_case import DATA, QUALITY, make_run


@pytest.fixture(scope="session")
def detectors(tmp_path_factory):
    """Two methods, two seeds, two learning rates; read-only."""
    root = tmp_path_factory.mktemp("runs")
    for method in QUALITY:
        for seed in (0, 1):
            make_run(root, method, seed, lr=1e-3, val=0.3)
            make_run(root, method, seed, lr=1e-2, val=0.1)
    (root / "images").mkdir()
    for image in DATA["images"]:
        blank = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        cv2.imwrite(str(root / "images" / image["file_name"]), blank)
    return root
