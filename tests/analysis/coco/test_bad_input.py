"""What is wrong with annotations or predictions is said, with the file, the ids and what to do."""

import copy

import pytest

from mmrbdc.analysis import AnalysisError
from mmrbdc.analysis.coco import match, read_annotations, read_predictions
from tests.analysis.coco.coco_files import (
    HEIGHT,
    WIDTH,
    make_annotations,
    make_predictions,
    matched,
    write,
)

DATA = make_annotations(0)
DETECTIONS = make_predictions(DATA)
FIRST = DATA["images"][0]["id"]


def annotations_error(folder, content):
    with pytest.raises(AnalysisError) as raised:
        read_annotations(write(folder, "annotations.json", content))
    assert "annotations.json" in str(raised.value)
    return str(raised.value)


def predictions_error(folder, content, iou_type="bbox"):
    annotations = read_annotations(write(folder, "annotations.json", DATA))
    with pytest.raises(AnalysisError) as raised:
        read_predictions(write(folder, "model.json", content), annotations, iou_type)
    assert "model.json" in str(raised.value)
    return str(raised.value)


def changed(entries, number, **fields):
    entries = copy.deepcopy(entries)
    entries[number] |= fields
    return entries


def test_good_files_are_read(tmp_path):
    """The twin of everything below."""
    annotations = read_annotations(write(tmp_path, "annotations.json", DATA))
    assert annotations.image_ids == sorted(image["id"] for image in DATA["images"])
    assert annotations.category_names == {1: "thing 0", 3: "thing 1", 5: "thing 2"}
    for iou_type in ("bbox", "segm"):
        path = write(tmp_path, "model.json", DETECTIONS)
        predictions = read_predictions(path, annotations, iou_type)
        assert len(predictions.coco.anns) == len(DETECTIONS)


def test_the_hash_is_of_the_content(tmp_path):
    one, same = (read_annotations(write(tmp_path, name, DATA)) for name in ("a.json", "b.json"))
    other = read_annotations(write(tmp_path, "c.json", make_annotations(1)))
    assert one.sha256 == same.sha256 != other.sha256


@pytest.mark.parametrize("read", [read_annotations, lambda path: read_predictions(path, None)])
def test_files_that_cannot_be_read(tmp_path, read):
    with pytest.raises(AnalysisError, match=r"gone.json is missing; it should hold"):
        read(tmp_path / "gone.json")
    with pytest.raises(AnalysisError, match="cannot be read"):
        read(tmp_path)
    whole = write(tmp_path, "half.json", DATA).read_text()
    (tmp_path / "half.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(AnalysisError, match=r"half.json is not JSON .*breaks off"):
        read(tmp_path / "half.json")
    (tmp_path / "image.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(AnalysisError, match=r"image.json is not JSON"):
        read(tmp_path / "image.json")


def test_files_of_another_kind_exchanged(tmp_path):
    assert "'images', 'annotations'" in annotations_error(tmp_path, DETECTIONS)
    assert "a list with an object for each detection" in predictions_error(tmp_path, DATA)
    assert "'images' should be a list, got missing" in annotations_error(tmp_path, {"a": 1})
    for key in ("images", "categories"):
        assert f"there are no {key}" in annotations_error(tmp_path, DATA | {key: []})


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_duplicated_ids(tmp_path, key):
    twice = DATA | {key: [*DATA[key], DATA[key][2], DATA[key][1]]}
    ids = sorted(entry["id"] for entry in DATA[key][1:3])
    message = annotations_error(tmp_path, twice)
    assert f"'id' is {ids[0]}, which stands there more than once (2 such {key}: " in message
    assert f" such {key}: {ids[0]}, {ids[1]}); give each its own id" in message


def test_annotations_of_unknown_images_and_categories(tmp_path):
    entries = DATA["annotations"]
    message = annotations_error(tmp_path, DATA | {"annotations": changed(entries, 0, image_id=7)})
    assert "annotation 1: 'image_id' is 7, which is not among 'images'" in message
    message = annotations_error(
        tmp_path, DATA | {"annotations": changed(entries, 0, category_id=90)}
    )
    assert "annotation 1: 'category_id' is 90, which is not among 'categories'" in message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(id=0), "annotation 0: 'id' is 0, which pycocotools takes for 'not found'"),
        (dict(id="1"), "annotations[0]: 'id' is '1', should be an integer"),
        (dict(image_id=None), "annotation 1: 'image_id' is None, should be an integer"),
        (dict(category_id=[1]), "annotation 1: 'category_id' is [1], should be an integer"),
        (
            dict(bbox=[1, 2, 3]),
            "annotation 1: 'bbox' is [1, 2, 3], should be [x, y, width, height]",
        ),
        (dict(bbox=[1, 2, -3, 4]), "'bbox' is [1, 2, -3, 4], should be [x, y, width, height]"),
        (dict(area=None), "annotation 1: 'area' is None, should be a finite number of pixels"),
        (dict(iscrowd=None), "annotation 1: 'iscrowd' is None, should be 0 or 1"),
    ],
)
def test_odd_annotations(tmp_path, fields, words):
    entries = changed(DATA["annotations"], 0, **fields)
    assert words in annotations_error(tmp_path, DATA | {"annotations": entries})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(width="wide"), f"image {FIRST}: 'width' is 'wide', should be a whole number"),
        (dict(file_name=None), f"image {FIRST}: 'file_name' is None, should be a text"),
    ],
)
def test_odd_images(tmp_path, fields, words):
    entries = changed(DATA["images"], 0, **fields)
    assert words in annotations_error(tmp_path, DATA | {"images": entries})


def test_a_category_without_a_name(tmp_path):
    entries = changed(DATA["categories"], 1, name=None)
    message = annotations_error(tmp_path, DATA | {"categories": entries})
    assert "category 3: 'name' is None, should be a text" in message


def test_no_predictions(tmp_path):
    message = predictions_error(tmp_path, [])
    assert "no predictions at all" in message and "annotations.json" in message


def test_predictions_for_other_images(tmp_path):
    other = [d | {"image_id": 500 + n} for n, d in enumerate(DETECTIONS[:7])]
    message = predictions_error(tmp_path, DETECTIONS + other)
    assert "predictions for 7 'image_id' that" in message
    assert "annotations.json does not have: 500, 501, 502, 503, 504, ..." in message


def test_predictions_of_other_categories(tmp_path):
    message = predictions_error(tmp_path, changed(DETECTIONS, 3, category_id=2))
    assert "predictions for 1 'category_id'" in message and "does not have: 2;" in message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(image_id="a"), "'image_id' should be an integer, got 'a'"),
        (dict(score=None), "[4]: 'score' should be a finite number, got None"),
        (dict(score=float("nan")), "[4]: 'score' should be a finite number, got nan"),
        (dict(score=float("inf")), "[4]: 'score' should be a finite number, got inf"),
        (dict(bbox=[1, 2, 3]), "[4]: 'bbox' should be [x, y, width, height], got [1, 2, 3]"),
        (dict(bbox=[1, 2, 3, None]), "[4]: 'bbox' should be"),
        (dict(bbox=[1, 2, -3, 4]), "[4]: 'bbox' should be"),
        (dict(bbox=None), "[4]: 'bbox' should be"),
    ],
)
def test_odd_boxes(tmp_path, fields, words):
    assert words in predictions_error(tmp_path, changed(DETECTIONS, 4, **fields))


@pytest.mark.parametrize("field", ["score", "bbox", "image_id", "category_id"])
def test_a_field_that_is_not_there_is_called_missing(tmp_path, field):
    """Not None, as null is."""
    cut = [{k: v for k, v in row.items() if k != field or n} for n, row in enumerate(DETECTIONS)]
    message = predictions_error(tmp_path, cut)
    assert f"'{field}' should be " in message and message.endswith("got missing")


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (None, "should be a compressed RLE"),
        ([[1, 1, 5, 1, 5, 5]], "should be a compressed RLE"),
        ({"size": [HEIGHT, WIDTH], "counts": [0, 10]}, "should be a compressed RLE"),
        ({"size": [HEIGHT, WIDTH], "counts": "garbage!"}, "'garbage!' is not an RLE"),
        ({"size": [HEIGHT, WIDTH], "counts": "05"}, "'05' describes 5 pixels"),
        ({"size": [WIDTH, HEIGHT], "counts": "0"}, f"the mask is of size [{WIDTH}, {HEIGHT}]"),
    ],
)
def test_odd_masks(tmp_path, mask, words):
    content = changed(DETECTIONS, 4, segmentation=mask)
    message = predictions_error(tmp_path, content, "segm")
    assert message.count("[4]: ") == 1 and words in message


def test_something_else_in_the_list(tmp_path):
    assert "[1]: expected an object, got 3" in predictions_error(tmp_path, [DETECTIONS[0], 3])


def test_an_unknown_iou_type(tmp_path):
    annotations = read_annotations(write(tmp_path, "annotations.json", DATA))
    with pytest.raises(AnalysisError, match="should be 'bbox' or 'segm', got 'keypoints'"):
        read_predictions(tmp_path / "model.json", annotations, "keypoints")


def test_matching_what_was_read_for_something_else(tmp_path):
    annotations = read_annotations(write(tmp_path, "annotations.json", DATA))
    predictions = read_predictions(write(tmp_path, "m.json", DETECTIONS), annotations, "bbox")
    other = read_annotations(write(tmp_path, "other.json", make_annotations(1)))
    with pytest.raises(AnalysisError, match=r"read for .*annotations.json, not for .*other.json"):
        match(other, predictions, "bbox")
    with pytest.raises(AnalysisError, match="read as 'bbox', not as 'segm'"):
        match(annotations, predictions, "segm")


def test_masks_compared_with_objects_that_have_none(tmp_path):
    data = copy.deepcopy(DATA)
    del data["annotations"][3]["segmentation"]
    data["annotations"][5]["segmentation"] = []
    with pytest.raises(AnalysisError, match="annotation 4 and 1 more have no 'segmentation'"):
        matched(tmp_path, data, DETECTIONS, "segm")
    assert matched(tmp_path, data, DETECTIONS, "bbox").scores()["mAP"] > 0
