"""Pixels that an RLE describes: pycocotools' own strings give the whole image, others do not."""

import numpy as np
import pytest
from pycocotools import mask

from mmrbdc.datasets.coco import rle_pixels


@pytest.mark.parametrize("seed", range(20))
def test_the_strings_of_pycocotools_cover_their_image(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 700, 2)
    share = rng.choice([0, 0.01, 0.5, 0.999, 1])
    coarse = rng.random((height // 20 + 1, width // 20 + 1)) < share
    pixels = np.asfortranarray(np.kron(coarse, np.ones((20, 20)))[:height, :width], np.uint8)
    for picture in (pixels, np.asfortranarray(rng.random((height, width)) < share, np.uint8)):
        counts = mask.encode(picture)["counts"].decode()
        assert rle_pixels(counts) == height * width
        if len(counts) > 1:
            assert rle_pixels(counts[:-1]) != height * width


@pytest.mark.parametrize("counts", ["", "garbage!", "P", "é", " 1", "o" * 9 + "0", "1M"])
def test_what_is_no_rle(counts):
    assert rle_pixels(counts) is None
