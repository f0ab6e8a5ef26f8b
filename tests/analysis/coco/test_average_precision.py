"""AP equals pycocotools' to the last digit, with images as they are and with images repeated."""

import dataclasses

import numpy as np
import pytest

from mmrbdc.analysis.coco import METRICS
from tests.analysis.coco.coco_files import (
    make_annotations,
    make_predictions,
    matched,
    pycocotools_stats,
    with_copies,
)

NO_SMALL = dict(sides=(40, 130))


def weights_of(seed, images):
    return np.random.default_rng(seed).integers(4, size=images)


def weighted_scores(matches, weights):
    return [float(matches.weighted(metric, weights[None])[0]) for metric in METRICS]


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_pycocotools_to_the_last_digit(tmp_path, seed, iou_type):
    data = make_annotations(seed)
    detections = make_predictions(data, seed + 100)
    scores = matched(tmp_path, data, detections, iou_type).scores()
    assert list(scores) == list(METRICS)
    assert list(scores.values()) == pycocotools_stats(data, detections, iou_type)
    assert 0.2 < scores["mAP"] < 0.9


def test_many_images_equal_pycocotools_to_the_last_digit(tmp_path):
    data = make_annotations(7, images=80, categories=8, objects=320)
    detections = make_predictions(data, 8, wrong=900)
    scores = matched(tmp_path, data, detections).scores()
    assert list(scores.values()) == pycocotools_stats(data, detections, "bbox")


def test_nothing_to_find_is_minus_one(tmp_path):
    data = make_annotations(3, **NO_SMALL)
    detections = make_predictions(data, 4)
    scores = matched(tmp_path, data, detections).scores()
    assert scores["mAP_s"] == -1
    assert list(scores.values()) == pycocotools_stats(data, detections, "bbox")


def test_a_category_without_detections_scores_zero(tmp_path):
    data = make_annotations(5)
    detections = [d for d in make_predictions(data, 6) if d["category_id"] != 1]
    scores = matched(tmp_path, data, detections).scores()
    assert list(scores.values()) == pycocotools_stats(data, detections, "bbox")


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(4))
def test_weights_are_copies_of_images(tmp_path, seed, iou_type):
    """AP with image i weighted w is pycocotools' AP of the data set that has it w times."""
    data = make_annotations(seed)
    detections = make_predictions(data, seed + 50)
    weights = weights_of(seed, len(data["images"]))
    assert set(weights) == {0, 1, 2, 3}
    matches = matched(tmp_path, data, detections, iou_type)
    expected = pycocotools_stats(*with_copies(data, detections, weights), iou_type)
    assert weighted_scores(matches, weights) == expected
    assert weighted_scores(matches, np.roll(weights, 1)) != expected, "the wrong images' weights"


def test_equal_scores_on_different_images(tmp_path):
    """They stand in the order of the images, as pycocotools has them."""
    data = make_annotations(2)
    detections = make_predictions(data, 3)
    seen: dict = {}
    for detection in detections:
        place = (detection["image_id"], detection["category_id"])
        seen[place] = seen.get(place, 0) + 1
        detection["score"] = seen[place] / 10
    weights = weights_of(3, len(data["images"]))
    matches = matched(tmp_path, data, detections)
    expected = pycocotools_stats(*with_copies(data, detections, weights), "bbox")
    assert weighted_scores(matches, weights) == expected


def test_several_rows_of_weights_are_independent(tmp_path):
    data = make_annotations(1)
    matches = matched(tmp_path, data, make_predictions(data, 2))
    rows = np.stack([weights_of(seed, len(data["images"])) for seed in range(70)])
    together = matches.weighted("mAP", rows)
    alone = [matches.weighted("mAP", row[None])[0] for row in rows]
    assert together.tolist() == alone


def test_ignored_detections_counted_as_wrong_are_noticed(tmp_path):
    """The twin: without the rule for crowds and sizes, AP is another one."""
    data = make_annotations(0)
    detections = make_predictions(data, 100)
    right = matched(tmp_path, data, detections)
    careless = dataclasses.replace(
        right,
        rankings={
            area: [dataclasses.replace(r, ignored=np.zeros_like(r.ignored)) for r in rankings]
            for area, rankings in right.rankings.items()
        },
    )
    for metric in ("mAP", "mAP_s", "mAP_m"):
        assert careless.scores()[metric] < right.scores()[metric], metric
