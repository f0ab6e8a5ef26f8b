"""The images that are shown and what is drawn on them."""

import io

import numpy as np
import pytest
from PIL import Image

from mmrbdc.analysis import AnalysisError
from mmrbdc.analysis.coco import (
    found_shares,
    most_different_images,
    read_annotations,
    read_predictions,
    side_by_side,
)
from tests.analysis.coco.coco_files import (
    HEIGHT,
    WIDTH,
    make_annotations,
    make_predictions,
    matched,
    write,
)

GREY = 128


def two_images():
    """Image 1 has two objects and a crowd, image 2 one object, image 3 none."""
    data = make_annotations(0, images=3, categories=2, objects=4)
    for n, (image, entry) in enumerate(zip((1, 1, 1, 2), data["annotations"], strict=True)):
        box = [10.0 + 45 * n, 20.0, 40.0, 50.0]
        entry |= dict(image_id=image, category_id=1, iscrowd=int(n == 2), bbox=box, area=2000.0)
    for id_, image in enumerate(data["images"], start=1):
        image |= dict(id=id_, file_name=f"{id_}.png")
    return data


def found(data, number, score, category=1):
    entry = data["annotations"][number]
    return dict(
        image_id=entry["image_id"],
        category_id=category,
        bbox=entry["bbox"],
        score=score,
        segmentation=entry["segmentation"],
    )


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.fixture
def scene(tmp_path):
    data = two_images()
    for image in data["images"]:
        Image.new("RGB", (WIDTH, HEIGHT), (GREY,) * 3).save(tmp_path / image["file_name"])
    annotations = read_annotations(write(tmp_path, "annotations.json", data))

    def predictions(detections, iou_type="bbox"):
        path = write(tmp_path, "predictions.json", detections)
        return read_predictions(path, annotations, iou_type)

    return tmp_path, data, annotations, predictions


def test_found_shares_by_hand(tmp_path):
    """Two tries on image 1, one right; the crowd found does not count; image 2: one try."""
    data = two_images()
    detections = [
        found(data, 2, 0.95),
        found(data, 0, 0.9),
        found(data, 1, 0.8, category=3),
        found(data, 1, 0.7),
        found(data, 3, 0.2),
    ]
    shares = found_shares(matched(tmp_path, data, detections))
    assert shares[:2].tolist() == [0.5, 1.0]
    assert np.isnan(shares[2])


def test_found_shares_do_not_depend_on_the_scale_of_scores(tmp_path):
    data = make_annotations(0, images=30, objects=90)
    detections = make_predictions(data)
    timid = [d | {"score": d["score"] ** 3 / 10} for d in detections]
    shares = [found_shares(matched(tmp_path, data, d)) for d in (detections, timid)]
    assert np.array_equal(*shares, equal_nan=True)
    assert 0.2 < np.nanmean(shares[0]) < 0.9


def test_the_images_that_differ_most_come_first(tmp_path):
    data = two_images()
    everything = [found(data, n, 0.9) for n in (0, 1, 3)]
    a = matched(tmp_path, data, everything)
    half = matched(tmp_path, data, everything[:1])
    assert most_different_images(a, half, 5) == [2, 1]
    assert most_different_images(half, a, 1) == [2]
    assert most_different_images(a, a, 5) == []


def test_images_of_different_data_sets_are_not_compared(tmp_path):
    data = two_images()
    a = matched(tmp_path, data, [found(data, 0, 0.9)])
    other = make_annotations(5)
    with pytest.raises(AnalysisError, match="different data sets"):
        most_different_images(a, matched(tmp_path, other, make_predictions(other)), 3)


def test_a_panel_for_the_truth_and_each_model(scene):
    folder, data, annotations, predictions = scene
    one = predictions([found(data, 3, 0.9)])
    sizes = []
    for count in (1, 2, 3):
        named = {f"model {n}": one for n in range(count)}
        png = side_by_side(folder, annotations, named, 2)
        assert png.startswith(b"\x89PNG")
        sizes.append(pixels(png).shape[1])
    assert np.diff(sizes).tolist() == [sizes[0] // 2] * 2


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_what_was_found_is_drawn_in_its_panel_alone(scene, iou_type):
    """Against a model whose one try is elsewhere, only the second panel changes."""
    folder, data, annotations, predictions = scene
    away = found(data, 3, 0.9) | {k: found(data, 0, 0.9)[k] for k in ("bbox", "segmentation")}
    right, wrong = (
        pixels(side_by_side(folder, annotations, {"m": predictions([d], iou_type)}, 2))
        for d in (found(data, 3, 0.9), away)
    )
    changed = np.abs(right - wrong).sum(axis=2) > 30
    half = changed.shape[1] // 2
    assert not changed[:, :half].any()
    assert changed[:, half:].any()


def test_masks_are_drawn_for_masks_alone(scene):
    folder, data, annotations, predictions = scene
    counts = {}
    for iou_type in ("bbox", "segm"):
        named = {"model": predictions([found(data, 3, 0.9)], iou_type)}
        picture = pixels(side_by_side(folder, annotations, named, 2))
        counts[iou_type] = np.count_nonzero(np.ptp(picture, axis=2) > 30)
    assert counts["segm"] > 1.5 * counts["bbox"]


def test_every_model_gets_as_many_tries_as_there_are_objects(scene):
    """A second, worse detection on image 2, which has one object, is not drawn."""
    folder, data, annotations, predictions = scene
    best = found(data, 3, 0.9)
    worse = best | dict(bbox=[5.0, 100.0, 40.0, 30.0], score=0.8)
    drawn = [
        side_by_side(folder, annotations, {"model": predictions(d)}, 2)
        for d in ([best], [best, worse])
    ]
    assert drawn[0] == drawn[1]


def test_an_image_without_objects_or_predictions(scene):
    folder, data, annotations, predictions = scene
    png = side_by_side(folder, annotations, {"model": predictions([found(data, 0, 0.5)])}, 3)
    assert png.startswith(b"\x89PNG")


def test_unknown_and_missing_images(scene):
    folder, data, annotations, predictions = scene
    named = {"model": predictions([found(data, 0, 0.5)])}
    with pytest.raises(AnalysisError, match=r"annotations.json has no image 77"):
        side_by_side(folder, annotations, named, 77)
    with pytest.raises(AnalysisError, match=r"elsewhere/1.png cannot be read .*--images"):
        side_by_side(folder / "elsewhere", annotations, named, 1)
    (folder / "1.png").write_bytes(b"no image")
    with pytest.raises(AnalysisError, match=r"1.png cannot be read"):
        side_by_side(folder, annotations, named, 1)
