"""Masks that are none: an error where masks are used, a remark where not."""

import pytest

from mmrbdc.datasets.coco import index
from tests.datasets.coco.small_coco import HEIGHT, WIDTH, changed, corners, rle
from tests.datasets.coco.verdicts import judged, the_error

NAN, INF = float("nan"), float("inf")

BOX = [5, 6, 20, 10]
ODD_MASKS = [
    (corners(BOX), "a flat list of numbers"),
    ([1], "a flat list of numbers"),
    ([[5, 6], [25, 6], [25, 16]], "without a polygon of three points or more"),
    ([[5, 6, 25, 16]], "without a polygon of three points or more"),
    ([[5, 6], [5, 6, 25, 16]], "without a polygon of three points or more"),
    ([[[5, 6], [25, 6], [25, 16]]], "of points in lists of their own"),
    ([[5, 6, 25, 6, 25]], "with a polygon of an odd number of values"),
    ([corners(BOX), [5, 6, 25, 6, 25, 16, 9]], "with a polygon of an odd number of values"),
    ([[5, 6, 25, 6, 25, None]], "with something that is not a number"),
    ([[5, 6, 25, 6, 25, "16"]], "with something that is not a number"),
    ([[5, 6, 25, 6, 25, True]], "with something that is not a number"),
    ([[5, 6, 25, 6, 25, NAN]], "with a number that is not finite"),
    ([[5, 6, 25, 6, 25, -INF]], "with a number that is not finite"),
    ([[5, 6, 25, 6, 25, 10**400]], "with a number that is not finite"),
    ([[5, 6, 25, 6, 25, 3e8]], "with a coordinate far outside of the image"),
    ([[5, 6, 25, 6, -1e5, 9]], "with a coordinate far outside of the image"),
    ([[5, 6, 25, 6, 25, 10**30]], "with a coordinate far outside of the image"),
    ([[0.1, 0.1, 25, 6, 25, 2.1 * HEIGHT]], "with a coordinate far outside of the image"),
    ("5 6 25 6 25 16", "not a list of polygons"),
    (7, "not a list of polygons"),
    (True, "not a list of polygons"),
    (NAN, "not a list of polygons"),
    ([rle(BOX)], "not a list of polygons"),
    ([None], "not a list of polygons"),
    ({}, "an RLE without 'size'"),
    ({"counts": rle(BOX)["counts"]}, "an RLE without 'size'"),
    ({"size": [HEIGHT, WIDTH]}, "an RLE without 'counts'"),
    (rle(BOX, size=(WIDTH, HEIGHT)), "another size than the image (it is turned: width, height)"),
    (rle(BOX, size=(HEIGHT + 1, WIDTH)), f"another size than the image ({HEIGHT} x {WIDTH})"),
    (rle(BOX) | {"size": [HEIGHT, WIDTH, 1]}, "another size than the image"),
    (rle(BOX) | {"size": f"{HEIGHT}x{WIDTH}"}, "another size than the image"),
    (rle(BOX) | {"size": None}, "another size than the image"),
    (rle(BOX) | {"counts": None}, "neither text nor a list"),
    (rle(BOX) | {"counts": 2400}, "neither text nor a list"),
    (rle(BOX) | {"counts": [2399]}, "do not add up to height x width (2,399 instead of 2,400)"),
    (rle(BOX) | {"counts": [200, 2201]}, "do not add up to height x width (2,401 instead"),
    (rle(BOX) | {"counts": rle(BOX, size=(HEIGHT, WIDTH + 1))["counts"]}, "do not add up"),
    (rle(BOX) | {"counts": [-1, 2401]}, "are not run lengths"),
    (rle(BOX) | {"counts": [1200.0, 1200.0]}, "are not run lengths"),
    (rle(BOX) | {"counts": []}, "are not run lengths"),
    (rle(BOX) | {"counts": [2400, "0"]}, "are not run lengths"),
    (rle(BOX) | {"counts": ""}, "are not run lengths"),
    (rle(BOX) | {"counts": "no run lengths!"}, "are not run lengths"),
    (rle(BOX) | {"counts": "\ud800"}, "are not run lengths"),
    (rle(BOX) | {"counts": str(rle(BOX)["counts"].encode())}, "are Python's bytes"),
]


@pytest.mark.parametrize(("mask", "words"), ODD_MASKS)
def test_odd_masks(tmp_path, mask, words):
    """An error where masks are used; else a remark, and the index has no such mask."""
    content = changed("annotations", 2, segmentation=mask)
    for masks in (True, None):
        message = the_error(tmp_path, content, masks)
        assert "annotation 3: 'segmentation' is " in message and words in message
    verdict = judged(tmp_path, content, masks=False)
    assert verdict.errors == ()
    assert words in str(verdict.remarks[0]) and "masks are not used here" in str(verdict.remarks[0])
    coco = index(tmp_path / "annotations.json", masks=False)
    assert "segmentation" not in coco.anns[3] and "segmentation" in coco.anns[4]


@pytest.mark.parametrize("mask", ["missing", None, [], [[]], [[], []]])
def test_objects_without_a_mask(tmp_path, mask):
    content = changed("annotations", 6, segmentation=mask)
    if mask == "missing":
        del content["annotations"][6]["segmentation"]
    message = the_error(tmp_path, content)
    assert "annotation 7: 'segmentation' is " in message
    assert "without a mask, and masks are used; draw the masks, or train boxes only" in message
    assert judged(tmp_path, content, masks=False).remarks == ()
    verdict = judged(tmp_path, content, masks=None)
    assert verdict.errors == () and "unlike others" in str(verdict.remarks[0])
    for row in content["annotations"]:
        row.pop("segmentation", None)
    assert judged(tmp_path, content, masks=None).remarks == ()


@pytest.mark.parametrize("rest", [[], [1, 1], [1, 1, 9, 9]])
def test_a_polygon_of_fewer_than_three_points_beside_others_is_left_out(tmp_path, rest):
    content = changed("annotations", 0, segmentation=[rest, corners(BOX)], bbox=BOX)
    verdict = judged(tmp_path, content)
    assert verdict.errors == () and "which is left out" in str(verdict.remarks[0])
    (polygon,) = index(tmp_path / "annotations.json", masks=True).anns[1]["segmentation"]
    assert polygon.tolist() == corners(BOX)


def test_an_outline_that_fills_the_memory(tmp_path):
    side = 2**20
    content = changed("images", width=side, height=2000)
    zigzag = [value for n in range(40) for value in (n % 2 * (side - 1), n)]
    mine = next(n for n, row in enumerate(content["annotations"]) if row["image_id"] == 10)
    for row in content["annotations"]:  # RLE of the size that the image had
        if row["image_id"] == 10:
            row["segmentation"] = [corners(row["bbox"])]
    assert judged(tmp_path, content).errors == ()
    content["annotations"][mine]["segmentation"] = [zigzag]
    assert "an outline of more than 10,000,000 pixels" in the_error(tmp_path, content)
    content["annotations"][mine]["segmentation"] = [zigzag[:16]]
    assert judged(tmp_path, content).errors == ()
