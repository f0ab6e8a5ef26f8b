"""Masks without a pixel and masks beside their box, against pycocotools' own pixels."""

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmrbdc.datasets.coco import index, judge, read_coco
from mmrbdc.datasets.coco.blank import Outlines, runs_bounds
from mmrbdc.datasets.coco.polygons import Polygons
from mmrbdc.datasets.coco.rle import rle_runs
from mmrbdc.datasets.errors import DataError
from tests.datasets.coco.small_coco import HEIGHT, WIDTH, changed, corners, rle, small, write

WHOLE = WIDTH * HEIGHT
NOTHING = mask_utils.encode(np.zeros((HEIGHT, WIDTH), np.uint8, order="F"))["counts"].decode()
BLANK = {
    "runs": dict(size=[HEIGHT, WIDTH], counts=[WHOLE]),
    "runs in parts": dict(size=[HEIGHT, WIDTH], counts=[7, 0, WHOLE - 7]),
    "text": dict(size=[HEIGHT, WIDTH], counts=NOTHING),
    "to the right": [[70, 10, 90, 10, 90, 30]],
    "above": [[10, -20, 30, -20, 30, -2]],
    "two outside": [[70, 10, 90, 10, 90, 30], [-9, 2, -3, 2, -3, 9]],
    "a level line": [[5, 5, 20, 5, 40, 5]],
    "a slanted line": [[5, 5, 20, 20, 30, 30]],
    "there and back": [[5, 5, 20, 13, 5, 5]],
    "a point": [[9, 9, 9, 9, 9, 9, 9, 9]],
    "a line and one outside": [[5, 5, 20, 20, 30, 30], [70, 10, 90, 10, 90, 30]],
}
WITH_PIXEL = {
    "one run": dict(size=[HEIGHT, WIDTH], counts=[40, 1, WHOLE - 41]),
    "partly outside": [[50, 10, 90, 10, 90, 30, 50, 30]],
    "a line and a triangle": [[5, 5, 20, 5, 40, 5], [10, 10, 20, 10, 20, 20]],
    "one outside and one inside": [[70, 10, 90, 10, 90, 30], [10, 10, 20, 10, 20, 20]],
    "a bow tie, whose parts cancel out": [[10, 10, 20, 20, 20, 10, 10, 20]],
}
BOX = dict(bbox=[10, 10, 20, 20], area=400, iscrowd=0)


def judged(folder, mask, masks=True, **fields):
    content = changed("annotations", 6, segmentation=mask, **(BOX | fields))
    return judge(read_coco(write(folder, content)), masks)


def pixels(mask):
    if isinstance(mask, dict) and isinstance(mask["counts"], str):
        return int(mask_utils.area(mask))
    found = mask_utils.frPyObjects(mask, HEIGHT, WIDTH)
    return int(np.sum(mask_utils.area(found)))


@pytest.mark.parametrize("kind", BLANK)
@pytest.mark.parametrize("masks", [True, None, False])
def test_a_mask_without_a_pixel_is_refused_where_masks_are_used(tmp_path, kind, masks):
    assert pixels(BLANK[kind]) == 0
    verdict = judged(tmp_path, BLANK[kind], masks)
    if masks is False:
        assert verdict.errors == verdict.remarks == ()
        return
    (error,) = verdict.errors
    assert "annotation 7: 'segmentation' is " in str(error) and "without a pixel" in str(error)
    assert "while its box has an object; draw the mask again, or take" in str(error)
    with pytest.raises(DataError, match="without a pixel"):
        index(tmp_path / "annotations.json", masks=masks)


@pytest.mark.parametrize("kind", WITH_PIXEL)
def test_a_mask_with_a_pixel_passes(tmp_path, kind):
    assert pixels(WITH_PIXEL[kind]) > 0
    verdict = judged(tmp_path, WITH_PIXEL[kind])
    assert verdict.errors == ()
    assert not any("without a pixel" in str(remark) for remark in verdict.remarks)


@pytest.mark.parametrize("kind", BLANK)
@pytest.mark.parametrize("fields", [dict(iscrowd=1), dict(area=0), dict(bbox=[9, 9, 0.5, 8])])
def test_of_what_is_not_trained_it_is_told(tmp_path, kind, fields):
    """COCO's own training file has two such."""
    verdict = judged(tmp_path, BLANK[kind], **fields)
    assert verdict.errors == ()
    assert any("without a pixel" in str(remark) for remark in verdict.remarks)


def test_a_sliver_without_a_pixel_is_told(tmp_path):
    """Hand-drawn thin objects, as COCO has them, are no reason to stop."""
    sliver = [[10, 10, 10.2, 10.1, 21, 12.45]]
    assert pixels(sliver) == 0
    verdict = judged(tmp_path, sliver, bbox=[10, 10, 11, 2.45])
    assert verdict.errors == ()
    assert "too thin or small to have a pixel" in str(verdict.remarks[0])


@pytest.mark.parametrize(
    "mask",
    [
        [corners([40, 2, 9, 5])],
        [corners([40, 2, 9, 5]), corners([50, 30, 4, 4])],
        rle([0, 0, 5, 5]),
        rle([55, 3, 4, 37], compressed=False),
    ],
)
def test_a_mask_beside_its_box_is_told(tmp_path, mask):
    verdict = judged(tmp_path, mask)
    assert verdict.errors == ()
    (remark,) = verdict.remarks
    assert "annotation 7: 'segmentation' is " in str(remark)
    assert "a mask that does not touch its own box" in str(remark)
    assert judged(tmp_path, mask, masks=False).remarks == ()
    touching = rle([0, 0, 11, 40]) if isinstance(mask, dict) else [*mask, corners([1, 1, 9, 9])]
    assert judged(tmp_path, touching).remarks == ()


def test_what_is_not_filled_has_a_pixel():
    """10,000 small, thin or overhanging polygons: the verdict is pycocotools' own."""
    rng = np.random.default_rng(5)
    polygons, shapes = Polygons(), []
    for number in range(10_000):
        extent = rng.uniform(0.5, 14, 2)
        if number % 3:
            extent[number % 2] = rng.uniform(0, 2)
        corner = rng.uniform(-10, [WIDTH, HEIGHT])
        points = np.round(corner + rng.uniform(0, 1, (int(rng.integers(3, 7)), 2)) * extent, 2)
        shapes.append(points.reshape(-1).tolist())
        polygons.pack([shapes[-1]])
    polygons.close()
    every = np.arange(len(shapes))
    outlines = [np.array(shape).reshape(-1, 2) for shape in shapes]
    low = np.array([points.min(axis=0) for points in outlines])
    high = np.array([points.max(axis=0) for points in outlines])
    sizes = np.tile([float(WIDTH), HEIGHT], (len(shapes), 1))
    found, nothing = Outlines(every, every, low, high, sizes).without_pixel(polygons)
    area = [mask_utils.area(m) for m in mask_utils.frPyObjects(shapes, HEIGHT, WIDTH)]
    assert np.array_equal(found, np.array(area) == 0) and 500 < found.sum() < 9_500
    assert found[nothing].all() and 500 < nothing.sum() < found.sum()


@pytest.mark.parametrize("seed", range(20))
def test_bounds_of_runs_are_those_of_the_pixels(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    for _ in range(seed % 4):
        x, y = rng.integers(0, WIDTH), rng.integers(0, HEIGHT)
        mask[y : y + rng.integers(1, 40), x : x + rng.integers(1, 9)] = 1
    runs = rle_runs(mask_utils.encode(mask)["counts"].decode())
    found = runs_bounds(runs, HEIGHT)
    rows, columns = np.nonzero(mask)
    if not len(rows):
        assert found is None
        return
    assert found[::2] == (columns.min(), columns.max() + 1)
    if mask[-1, :-1].any() and mask[0, 1:].any():  # a run may pass from one column to the next
        assert found[1] <= rows.min() and found[3] > rows.max()
    else:
        assert found[1::2] == (rows.min(), rows.max() + 1)


@pytest.mark.parametrize("count", [255, 256, 300])
def test_many_parts(tmp_path, count):
    """pycocotools counts the pixels of 255 masks at once, with NumPy 2."""
    parts = [[5, 5, 20, 20, 30, 30]] * count
    assert len(judged(tmp_path, parts).errors) == 1
    assert judged(tmp_path, [*parts, corners([10, 10, 9, 9])]).errors == ()


def test_the_twin_without_faults(tmp_path):
    for seed in range(5):
        verdict = judge(read_coco(write(tmp_path, small(seed))), True)
        assert verdict.errors == verdict.remarks == ()
