"""The number of detections an image and class that a comparison's APs count."""

import json

import numpy as np
import pytest
from pycocotools import mask as mask_api

from mmrbdc.analysis import (
    AnalysisError,
    analyse,
    collect,
    from_predictions,
    print_findings,
    report_html,
)
from mmrbdc.analysis.reports.comparison_files import differences
from tests.analysis.coco.coco_files import write
from tests.analysis.detector_case import DATA, detections
from tests.analysis.run_dirs import edit_json, keep_predictions, keep_training, write_detector


def many(objects, side=4):
    """One class, one image of ``objects`` boxes beside each other, one of three; and all of them
    found by a perfect detector.
    """
    boxes = [(1, [5.0 * (i % 40), 5.0 * (i // 40), side, side]) for i in range(objects)]
    boxes += [(2, [9.0 * i, 3.0, 8.0, 8.0]) for i in range(3)]
    images = [dict(id=i, file_name=f"{i}.png", width=200, height=160) for i in (1, 2)]
    rows = [
        dict(
            id=number,
            image_id=image,
            category_id=1,
            bbox=box,
            area=box[2] * box[3],
            iscrowd=0,
            segmentation=[corners(*box)],
        )
        for number, (image, box) in enumerate(boxes, start=1)
    ]
    draw = np.random.default_rng(0)
    found = [
        dict(image_id=image, category_id=1, bbox=box, score=float(draw.uniform(0.5, 1)))
        for image, box in boxes
    ]
    return dict(images=images, annotations=rows, categories=[dict(id=1, name="cell")]), found


def corners(x, y, width, height):
    return [x, y, x + width, y, x + width, y + height, x, y + height]


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


def scored_run(root, name, seed=0, data=DATA, found=None, **noted):
    path = write_detector(root / name, name=f"det_{name}", seed=seed)
    annotations = root / "annotations.json"
    if not annotations.exists():
        write(root, annotations.name, data)
    keep_predictions(path, annotations, found or detections("rbdc", seed))
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


RPN, RCNN = "model.test_cfg.rpn.max_per_img", "model.test_cfg.rcnn.max_per_img"
QUERIES = "model.bbox_head.num_queries"


@pytest.mark.parametrize(
    "keeps, told",
    [
        ({RPN: 150, RCNN: 200}, ["the RPN keeps proposals (up to 160; 10 "]),
        ({RPN: 1000, RCNN: 37}, ["the detector keeps detections (up to 160; 123 "]),
        ({RPN: 159, RCNN: 100}, ["the RPN keeps", "the detector keeps detections (up to 160; 60 "]),
        ({QUERIES: 120}, ["the detector has queries (up to 160; 40 "]),
        ({RPN: 160, RCNN: 161}, []),
        ({}, []),
    ],
)
def test_what_the_tested_detector_kept_is_told(tmp_path, keeps, told):
    """With the options that raise it, once for both; AP itself has room for all here."""
    data, found = many(160)
    for name in ("a", "b"):
        scored_run(tmp_path, name, data=data, found=boxes_as_masks(found), keeps=keeps)
    warnings = analyse(collect([tmp_path]), resamples=10, max_dets=160).warnings
    limits = [warning for warning in warnings if "more objects than" in warning]
    assert len(limits) == len(told)
    for warning, words in zip(limits, told, strict=True):
        assert f"1 of 2 images have more objects than {words}" in warning
    small = [key for key, most in keeps.items() if most < 160]
    assert [f"{key}=200" in warning for key, warning in zip(small, limits, strict=True)] == [
        True
    ] * len(told)


def test_where_ap_counts_too_few_the_detectors_own_options_are_named(tmp_path):
    """Those that are too small; of a test that notes none the kind is said."""
    data, found = many(160)
    for name, keeps in (("a", {RPN: 1000, RCNN: 90}), ("b", {RPN: 1000, RCNN: 90})):
        scored_run(
            tmp_path, name, data=data, found=boxes_as_masks(found), keeps=keeps, max_dets=120
        )

    def left_out():
        warnings = analyse(collect([tmp_path]), resamples=10).warnings
        return next(warning for warning in warnings if warning.startswith("AP counts"))

    assert left_out().startswith("AP counts 120 detections an image and class, and 1 of 2 images")
    assert left_out().endswith(f"keep as many: --cfg-options {RCNN}=200")
    for name in ("a", "b"):
        edit_json(tmp_path / name / "test.json", lambda test: test.pop("keeps"))
    assert left_out().endswith("(max_per_img of model.test_cfg, or of its parts rpn and rcnn)")


@pytest.mark.parametrize("keeps", [{RPN: 0}, {RPN: "many"}, {RCNN: 1.5}, {RCNN: True}, [100], 7])
def test_what_no_detector_keeps_is_refused_by_its_file(tmp_path, keeps):
    scored_run(tmp_path, "a", keeps=keeps)
    with pytest.raises(AnalysisError, match=r"a/test\.json.*keeps"):
        collect([tmp_path])


def boxes_as_masks(found):
    """The same detections with masks as large as their boxes."""
    rows = []
    for row in found:
        x, y, width, height = map(int, row["bbox"])
        mask = np.zeros((160, 200), np.uint8, order="F")
        mask[y : y + height, x : x + width] = 1
        code = mask_api.encode(mask)
        rows.append(
            row | dict(segmentation=dict(size=code["size"], counts=code["counts"].decode()))
        )
    return rows
