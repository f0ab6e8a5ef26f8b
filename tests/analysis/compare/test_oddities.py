"""What is odd about predictions is a warning of the comparison."""

import pytest

from mmrbdc.analysis import analyse, from_predictions
from tests.analysis.coco.coco_files import make_annotations, make_predictions, write

DATA = make_annotations(images=10, objects=80)
FOUND = make_predictions(DATA, found=0.9)


@pytest.fixture
def compare(tmp_path):
    """Warnings of a comparison of files with these detections."""
    annotations = write(tmp_path, "a.json", DATA)

    def go(**contents):
        files = []
        for name, (kind, content) in contents.items():
            file = write(tmp_path, f"{name}.{kind}.json", content)
            files.append(f"{name}={file}")
        return analyse(from_predictions(files, annotations), resamples=10).warnings

    return go


def of_images(count):
    ids = sorted({row["image_id"] for row in FOUND})[:count]
    return [row for row in FOUND if row["image_id"] in ids]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_whole_predictions_have_nothing_odd(compare, kind):
    """The twin of all below; one image without a detection is nothing odd either."""
    assert compare(one=(kind, FOUND), two=(kind, of_images(9))) == ()


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("count", [1, 5, 7])
def test_a_part_of_the_images_is_told(compare, kind, count):
    (warning,) = compare(one=(kind, FOUND), two=(kind, of_images(count)))
    assert warning.startswith("two: ") and f"for {count} of 10 images" in warning


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("copies", [5, len(FOUND)])
def test_detections_that_are_there_twice_are_told(compare, kind, copies):
    (warning,) = compare(one=(kind, FOUND + FOUND[:copies]), two=(kind, FOUND))
    assert warning.startswith(f"one: {copies} of {len(FOUND) + copies} detections")


def test_the_same_box_with_another_score_is_a_detectors(compare):
    others = [{**row, "score": row["score"] / 2} for row in FOUND]
    assert compare(one=("bbox", FOUND + others), two=("bbox", FOUND)) == ()


def test_boxes_are_not_compared_with_masks(compare):
    (warning,) = compare(one=("bbox", FOUND), two=("segm", FOUND), three=("bbox", FOUND))[:1]
    assert warning.startswith("one has predictions of boxes and two of masks")
