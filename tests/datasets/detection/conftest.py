"""The small files of a detector's config."""

import pytest

from tests.datasets.coco.small_coco import small, write


@pytest.fixture
def place(tmp_path):
    """Two splits of one set, and a folder of images that nothing opens."""
    for name in ("train", "val"):
        write(tmp_path, small(seed=name == "val"), f"{name}.json")
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").touch()
    return tmp_path
