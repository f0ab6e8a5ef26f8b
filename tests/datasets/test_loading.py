"""An image that cannot be read is named."""

import cv2
import numpy as np
import pytest
from mmpretrain.registry import DATASETS

from mmrbdc.datasets import DataError, LoadImageFromFile

DAMAGED = {"empty": b"", "text": b"not an image", "half": None}


@pytest.fixture(params=DAMAGED)
def folder(request, tmp_path):
    """Four images of one class, the third of which is damaged."""
    (tmp_path / "a").mkdir()
    for number in range(4):
        image = np.full((8, 8, 3), number * 10, np.uint8)
        cv2.imwrite(str(tmp_path / "a" / f"{number}.png"), image)
    third = tmp_path / "a" / "2.png"
    content = DAMAGED[request.param]
    third.write_bytes(third.read_bytes()[:40] if content is None else content)
    return tmp_path


def dataset(folder, **options):
    return DATASETS.build(
        dict(
            type="mmpretrain.CustomDataset",
            data_root=str(folder),
            pipeline=[
                dict(type="mmrbdc.LoadImageFromFile", **options),
                dict(type="mmpretrain.PackInputs"),
            ],
        )
    )


def test_a_damaged_file_is_named(folder):
    with pytest.raises(DataError, match=rf"cannot read the image {folder}/a/2.png.*ignore_empty"):
        dataset(folder)[2]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="gone.png"):
        LoadImageFromFile()(dict(img_path=str(tmp_path / "gone.png")))


def test_another_image_takes_its_place_where_that_is_asked_for(folder):
    with pytest.warns(UserWarning, match=r"2.png.*another image is drawn"):
        sample = dataset(folder, ignore_empty=True)[2]
    assert sample["inputs"].unique().item() in (0, 10, 30)


def test_a_good_file_is_read_as_mmcv_reads_it(folder):
    from mmcv.transforms import LoadImageFromFile as Stock

    path = dict(img_path=str(folder / "a" / "1.png"))
    ours, theirs = LoadImageFromFile()(dict(path)), Stock()(dict(path))
    assert np.array_equal(ours.pop("img"), theirs.pop("img")) and ours == theirs
