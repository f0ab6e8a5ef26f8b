"""Tiny demo data, made once for all tests of a process."""

from pathlib import Path

import pytest

from mmrbdc.datasets.made.digits import make_digits
from mmrbdc.datasets.made.scenes import make_scenes

DIGIT_COUNTS = {"train": 40, "val": 20, "test": 30}
SCENE_COUNTS = {"train": 8, "val": 6, "test": 4}


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """An ImageFolder of digits; read-only."""
    root = tmp_path_factory.mktemp("digits") / "data" / "digits"
    make_digits(root, counts=DIGIT_COUNTS)
    return root


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    """A COCO-format set of digit scenes; read-only."""
    root = tmp_path_factory.mktemp("scenes") / "data" / "digit_scenes"
    make_scenes(root, counts=SCENE_COUNTS)
    return root
