"""The number of detections an image and class that a comparison's APs count."""

import json

import numpy as np
import pytest
from coco_files import write
from run_dirs import edit_json, keep_predictions, keep_training, write_detector
from test_detectors import DATA, detections

from mmrbdc.analysis import (
    AnalysisError,
    analyse,
    collect,
    from_predictions,
    print_findings,
    report_html,
)
from mmrbdc.analysis.saved import differences


def many(objects, side=4):
    """One class, one image of ``objects`` boxes beside each other, one of three; and all of them
    found by a perfect detector.
    """
    boxes = [(1, [5.0 * (i % 40), 5.0 * (i // 40), side, side]) for i in range(objects)]
    boxes += [(2, [9.0 * i, 3.0, 8.0, 8.0]) for i in range(3)]
    images = [dict(id=i, file_name=f"{i}.png", width=200, height=160) for i in (1, 2)]
    rows = [
        dict(id=number, image_id=image, category_id=1, bbox=box, area=box[2] * box[3], iscrowd=0)
        for number, (image, box) in enumerate(boxes, start=1)
    ]
    draw = np.random.default_rng(0)
    found = [
        dict(image_id=image, category_id=1, bbox=box, score=float(draw.uniform(0.5, 1)))
        for image, box in boxes
    ]
    return dict(images=images, annotations=rows, categories=[dict(id=1, name="cell")]), found


@pytest.fixture
def perfect(tmp_path):
    data, found = many(160)
    annotations = write(tmp_path, "a.json", data)
    files = [f"{name}={write(tmp_path, f'{name}.bbox.json', found)}" for name in ("one", "two")]
    return from_predictions(files, annotations)


def test_perfect_boxes_beyond_the_limit_are_no_riddle(perfect, capsys):
    findings = analyse(perfect, resamples=20)
    (warning,) = findings.warnings
    assert "1 of 2 images have more objects of one class (up to 160)" in warning
    assert "60 objects cannot be found" in warning and "--max-dets 200" in warning
    assert "120 of 326 detections are not counted" in warning
    assert findings.groups[0].spread("bbox_mAP").mean < 70
    print_findings(findings)
    printed = " ".join(capsys.readouterr().out.split())
    assert "At most 100 detections an image and class; of 326 detections 120" in printed
    assert "At most 100 detections an image and class" in report_html(findings)
    assert differences(findings)["max_dets"] == 100


@pytest.mark.parametrize("limit, full", [(160, True), (500, True), (159, False)])
def test_with_room_for_all_they_score_100(perfect, limit, full):
    findings = analyse(perfect, resamples=20, max_dets=limit)
    assert (findings.groups[0].spread("bbox_mAP").mean > 99.99) == full
    assert bool(findings.warnings) != full
    assert all(row.max_dets == limit for row in findings.comparison.rows)


def scored_run(root, name, seed=0, **noted):
    path = write_detector(root / name, name=f"det_{name}", seed=seed)
    annotations = root / "annotations.json"
    if not annotations.exists():
        write(root, annotations.name, DATA)
    keep_predictions(path, annotations, detections("rbdc", seed))
    keep_training(path)
    edit_json(path / "test.json", lambda test: test.update(noted))
    return path


def test_what_the_tests_counted_is_the_default(tmp_path):
    for name in ("a", "b"):
        scored_run(tmp_path, name, max_dets=1)
    findings = analyse(collect([tmp_path]), resamples=10)
    assert findings.scored.max_dets == 1
    assert any("(up to " in warning for warning in findings.warnings)
    assert analyse(collect([tmp_path]), resamples=0).scored.max_dets == 1


def test_tests_that_counted_differently_are_refused_or_scored_alike(tmp_path):
    """A test.json that does not say so is of MMDetection's metric: 100."""
    scored_run(tmp_path, "a", max_dets=300)
    scored_run(tmp_path, "b")
    for resamples in (0, 10):
        with pytest.raises(AnalysisError, match="different numbers.* 300 and .* 100; .*--max-dets"):
            analyse(collect([tmp_path]), resamples=resamples)
    findings = analyse(collect([tmp_path]), resamples=10, max_dets=300)
    assert {row.max_dets for row in findings.comparison.rows} == {300}
    with pytest.raises(AnalysisError, match=r"--max-dets 300: .*cannot be scored again"):
        analyse(collect([tmp_path]), resamples=0, max_dets=300)
    edit_json(tmp_path / "b" / "test.json", lambda test: test.pop("predictions"))
    with pytest.raises(AnalysisError, match=r"of .*b counts 100 .*tools/test.py"):
        analyse(collect([tmp_path]), resamples=10, max_dets=300)


@pytest.mark.parametrize("limit", [0, -3])
def test_no_detections_at_all_are_refused(perfect, limit):
    with pytest.raises(AnalysisError, match=f"got {limit}"):
        analyse(perfect, max_dets=limit)


def test_another_number_than_the_tests_is_no_contradiction(tmp_path):
    """test.json was right for its own; for that number a wrong figure is told (the twin)."""
    for name in ("a", "b"):
        scored_run(tmp_path, name, max_dets=300)
    assert not _disagreeing(analyse(collect([tmp_path]), resamples=10, max_dets=1))
    edit_json(tmp_path / "a" / "test.json", lambda test: test.update(bbox_mAP=0.999))
    assert not _disagreeing(analyse(collect([tmp_path]), resamples=10, max_dets=1))
    assert _disagreeing(analyse(collect([tmp_path]), resamples=10))
    assert json.loads((tmp_path / "a" / "test.json").read_text())["max_dets"] == 300


def _disagreeing(findings):
    return [warning for warning in findings.warnings if "disagree" in warning]
