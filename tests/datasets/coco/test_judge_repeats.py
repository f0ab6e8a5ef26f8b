"""What shows between rows only: the same object twice, boxes as shares of the images."""

import pytest

from tests.datasets.coco.small_coco import HEIGHT, WIDTH, corners, small
from tests.datasets.coco.verdicts import judged, the_error


@pytest.mark.parametrize("numbers", [[0], [2, 4, 5], range(0, 16)])
@pytest.mark.parametrize("masks", [True, False])
def test_the_same_object_twice_is_told(tmp_path, numbers, masks):
    """A merged export: everything again under a new id, in any order; crowds may repeat."""
    content = small()
    rows = content["annotations"]
    singles = [n for n in numbers if not rows[n]["iscrowd"]]
    rows += [rows[n] | dict(id=1000 + n) for n in reversed(list(numbers))]
    verdict = judged(tmp_path, content, masks)
    assert verdict.errors == ()
    (remark,) = verdict.remarks
    assert set(remark.ids) == {1000 + n for n in singles}
    assert "as another annotation of the same image and category" in str(remark)


@pytest.mark.parametrize(
    "change", [dict(bbox=[3, 3, 9, 8.5]), dict(category_id=3), dict(iscrowd=1)]
)
def test_what_differs_in_anything_is_another_object(tmp_path, change):
    content = small()
    one = content["annotations"][0] | dict(bbox=[3, 3, 9, 8], category_id=1, iscrowd=0)
    one["segmentation"] = [corners([3, 3, 9, 8])]
    content["annotations"] += [one | dict(id=98), one | dict(id=99) | change]
    assert judged(tmp_path, content).remarks == ()


SHARES = {
    "x, y, width, height": lambda x, y, w, h: [x / WIDTH, y / HEIGHT, w / WIDTH, h / HEIGHT],
    "centres": lambda x, y, w, h: [
        (x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT
    ],
    "corners": lambda x, y, w, h: [
        x / WIDTH, y / HEIGHT, (x + w) / WIDTH, (y + h) / HEIGHT
    ],
}  # fmt: skip


@pytest.mark.parametrize("share", SHARES.values(), ids=SHARES)
def test_boxes_divided_by_the_images_size_are_named(tmp_path, share):
    content = small()
    for row in content["annotations"]:
        row["bbox"] = share(*row["bbox"])
    message = the_error(tmp_path, content, masks=False)
    assert "all boxes of the file lie within 0 to 1" in message and "'bbox' is [0." in message
    content["annotations"] = content["annotations"][:1]  # one box is proof enough
    assert "as YOLO has them" in the_error(tmp_path, content, masks=False)


def test_small_boxes_among_others_are_not_taken_for_shares(tmp_path):
    """The twin: a part of a pixel beside whole boxes, or whole first pixels, are told as thin."""
    content = small()
    content["annotations"][0]["bbox"] = [0.1, 0.2, 0.4, 0.5]
    assert judged(tmp_path, content, masks=False).errors == ()
    for row in content["annotations"]:
        row["bbox"] = [0, 0, 1, 1]
    assert judged(tmp_path, content, masks=False).errors == ()
