"""The paired bootstrap: what it resamples, that its p is uniform under no difference, its power."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mmrbdc.analysis import AnalysisError
from mmrbdc.analysis.coco import Matches, paired_bootstrap
from mmrbdc.analysis.coco.bootstrap import image_counts
from mmrbdc.analysis.coco.sorted_detections import SortedDetections
from tests.analysis.coco.coco_files import (
    make_annotations,
    make_predictions,
    matched,
    pycocotools_stats,
    with_copies,
)

IMAGES = 60
TRIALS = 150


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    data = make_annotations(0, images=30, objects=120)
    good = [make_predictions(data, seed, shift=0.05) for seed in (1, 2)]
    bad = [make_predictions(data, seed, shift=0.12) for seed in (3, 4)]
    found = [matched(folder, data, d, name=f"model{n}") for n, d in enumerate(good + bad)]
    return data, good + bad, found


def test_the_difference_is_that_of_the_scores(models):
    _, _, (a, _, b, _) = models
    result = paired_bootstrap(a, b, resamples=50, metric="mAP_50")
    assert result.difference == a.scores()["mAP_50"] - b.scores()["mAP_50"]
    assert result.low <= result.high
    assert result.resamples == 50


def test_interval_and_p_of_pycocotools_on_copies(models):
    """The whole thing again with COCOeval on data sets of drawn images."""
    data, detections, (a, _, b, _) = models
    result = paired_bootstrap(a, b, resamples=12, seed=5)
    naive = np.array(
        [
            pycocotools_stats(*with_copies(data, detections[0], row), "bbox")[0]
            - pycocotools_stats(*with_copies(data, detections[2], row), "bbox")[0]
            for row in image_counts(30, 12, seed=5)
        ]
    )
    assert (result.low, result.high) == tuple(np.quantile(naive, [0.025, 0.975]))
    assert result.p == 2 * (1 + min((naive <= 0).sum(), (naive >= 0).sum())) / 13


def test_each_resample_draws_as_many_images(models):
    counts = image_counts(30, 200, seed=1)
    assert counts.shape == (200, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(30), abs=0.35)
    assert (counts == image_counts(30, 200, seed=1)).all()
    assert (counts != image_counts(30, 200, seed=2)).any()


def test_a_model_does_not_differ_from_itself(models):
    _, _, (a, *_) = models
    result = paired_bootstrap(a, a, resamples=30)
    assert (result.difference, result.low, result.high, result.p) == (0, 0, 0, 1)


def test_sides_exchanged_change_the_sign_alone(models):
    _, _, (a, _, b, _) = models
    one, other = paired_bootstrap(a, b, resamples=99), paired_bootstrap(b, a, resamples=99)
    assert (one.difference, one.p) == (-other.difference, other.p)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)


def test_means_over_seeds(models):
    _, _, found = models
    scores = [m.scores()["mAP"] for m in found]
    result = paired_bootstrap(found[:2], found[2:], resamples=60)
    assert result.difference == pytest.approx(np.mean(scores[:2]) - np.mean(scores[2:]), abs=1e-15)
    twice = paired_bootstrap([found[0]] * 2, [found[2]] * 2, resamples=60)
    once = paired_bootstrap(found[0], found[2], resamples=60)
    assert (twice.low, twice.high, twice.p) == pytest.approx((once.low, once.high, once.p))


def test_kept_resamples_are_those_of_their_seed(models, tmp_path):
    data, detections, (a, _, b, _) = models
    first = paired_bootstrap(a, b, resamples=40, seed=3)
    assert paired_bootstrap(a, b, resamples=40, seed=4) != first
    fresh = [matched(tmp_path, data, detections[n]) for n in (0, 2)]
    assert paired_bootstrap(*fresh, resamples=40, seed=3) == first


def test_without_pairing_the_interval_is_wider(models, tmp_path):
    """The twin: the second model on images of its own loses what the pairing is for."""
    data, detections, (a, *_) = models
    rng = np.random.default_rng(0)
    like_a = [d | {"score": d["score"] * rng.uniform(0.8, 1.0)} for d in detections[0]]
    b = matched(tmp_path, data, like_a)
    paired = paired_bootstrap(a, b, resamples=200)
    drawn = [m.weighted("mAP", image_counts(30, 200, seed=n)) for n, m in enumerate((a, b))]
    low, high = np.quantile(drawn[0] - drawn[1], [0.025, 0.975])
    assert high - low > 2 * (paired.high - paired.low)


def null_pair(annotations, rng, images=IMAGES, copies=1, edge=0.0):
    """Two models that find each object independently, with chances that depend on the image.

    Args:
        annotations: of as many images as ``images * copies``.
        copies: of each image, which are no news.
        edge: what the first is better by.
    """
    objects = rng.integers(1, 5, size=images)
    chance = rng.uniform(0.2, 0.8, size=images)
    pair = []
    for advantage in (edge, 0.0):
        where = np.repeat(np.arange(images), objects)
        hit = rng.random(len(where)) < chance[where] + advantage
        where = np.concatenate([where[hit], rng.integers(images, size=images)])
        right = np.arange(len(where)) < hit.sum()
        scores = rng.random(len(where)) + 0.5 * right
        parts = [(where + n * images, right, scores) for n in range(copies)]
        at, right, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.argsort(-scores, kind="stable")
        hits = np.tile(right[order], (10, 1))
        ranking = SortedDetections(
            images=at[order],
            scores=scores[order],
            hits=hits,
            ignored=np.zeros_like(hits),
            positives=np.tile(objects, copies),
        )
        pair.append(Matches(annotations, Path("model.json"), "bbox", {"all": [ranking]}))
    return pair


def p_values(tmp_path, trials=TRIALS, images=IMAGES, copies=1, edge=0.0):
    data = make_annotations(0, images=images * copies)
    annotations = matched(tmp_path, data, make_predictions(data, 1)).annotations
    rng = np.random.default_rng(11)
    pairs = [null_pair(annotations, rng, images, copies, edge) for _ in range(trials)]
    results = [
        paired_bootstrap(a, b, resamples=199, seed=n, metric="mAP_50")
        for n, (a, b) in enumerate(pairs)
    ]
    return np.array([result.p for result in results])


def test_p_is_uniform_when_there_is_no_difference(tmp_path):
    found = p_values(tmp_path)
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(found < 0.05) < 0.11


def test_p_is_not_uniform_when_images_are_counted_as_news_four_times(tmp_path):
    """The twin: resampling copies of an image apart, as if they were different images."""
    found = p_values(tmp_path, copies=4)
    assert stats.kstest(found, "uniform").pvalue < 1e-4
    assert np.mean(found < 0.05) > 0.2


def test_p_is_small_when_one_is_clearly_better(tmp_path):
    found = p_values(tmp_path, trials=30, edge=0.25)
    assert np.mean(found < 0.05) > 0.9


def test_bad_arguments(models, tmp_path):
    data, detections, (a, _, b, _) = models
    with pytest.raises(AnalysisError, match="no metric 'AP'; known: mAP, mAP_50"):
        paired_bootstrap(a, b, metric="AP")
    with pytest.raises(AnalysisError, match="resamples should be at least 1, got 0"):
        paired_bootstrap(a, b, resamples=0)
    with pytest.raises(AnalysisError, match="one is missing"):
        paired_bootstrap([], b)
    masks = matched(tmp_path, data, detections[2], "segm", name="masks")
    with pytest.raises(AnalysisError, match=r"matched as 'bbox' and .*masks.json as 'segm'"):
        paired_bootstrap(a, masks)


def test_different_data_sets(models, tmp_path):
    _, _, (a, *_) = models
    data = make_annotations(9)
    other = matched(tmp_path, data, make_predictions(data), name="other")
    with pytest.raises(AnalysisError) as raised:
        paired_bootstrap(a, other)
    for part in ("model0.json", "other.json", str(a.annotations.path), "different data sets"):
        assert part in str(raised.value)


def test_nothing_to_find(tmp_path):
    data = make_annotations(3, sides=(40, 130))
    matches = matched(tmp_path, data, make_predictions(data))
    with pytest.raises(AnalysisError, match=r"mAP_s is not defined: .*annotations.json"):
        paired_bootstrap(matches, matches, metric="mAP_s")


def test_resamples_with_nothing_to_find_are_left_out(tmp_path):
    """One image has all small objects; a third of the draws miss it."""
    data = make_annotations(3, sides=(40, 130))
    data["annotations"][0] |= {"bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0}
    matches = matched(tmp_path, data, make_predictions(data))
    result = paired_bootstrap(matches, matches, resamples=300, metric="mAP_s")
    assert 150 < result.resamples < 230
    missed = image_counts(len(data["images"]), 300, 0)[
        :, matches.annotations.image_ids.index(data["annotations"][0]["image_id"])
    ]
    assert result.resamples == np.count_nonzero(missed)
