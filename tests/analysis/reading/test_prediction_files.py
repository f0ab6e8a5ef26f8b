"""Prediction files without a run become rows."""

import pytest

from mmrbdc.analysis import (
    AnalysisError,
    analyse,
    from_predictions,
    report_html,
)
from mmrbdc.analysis.reports.comparison_files import differences
from tests.analysis.coco.coco_files import (
    pycocotools_stats,
    write,
)
from tests.analysis.detector_case import DATA, QUALITY, detections, printed


@pytest.fixture
def files(tmp_path):
    """Prediction files of two methods and two seeds, as the command line takes them."""
    annotations = write(tmp_path, "annotations.json", DATA)
    pairs = []
    for method in QUALITY:
        for seed in (0, 1):
            path = write(tmp_path, f"{method}{seed}.bbox.json", detections(method, seed))
            pairs.append(f"{method}={path}")
    return pairs, annotations


def test_prediction_files_become_rows(files, capsys):
    findings = analyse(from_predictions(*files), resamples=20)
    assert [group.label for group in findings.groups] == ["RBDC", "random"]
    stats = pycocotools_stats(DATA, detections("rbdc", 1), "bbox")
    assert findings.groups[0].rows[1].bbox_mAP == stats[0]
    (difference,) = findings.over_images
    assert difference.seeds == (0, 1) and difference.result.difference > 0
    text = printed(findings, capsys)
    assert "RBDC − random" in text and "TFLOPs" not in text and "Cost" not in text
    html = report_html(findings)
    assert "for the 8 images of annotations.json, 2 seeds each" in html
    assert "Differences paired by seed" in html and "of the given predictions" in html
    assert "How FLOPs are counted" not in html
    saved = differences(findings)
    (by_seed,) = saved["by_seed"]
    (over_images,) = saved["over_images"]
    assert by_seed["mean"] == pytest.approx(over_images["difference"], abs=1e-6)
    assert saved["unit"].startswith("points")


def test_masks_are_told_from_boxes_by_name_and_else_by_content(tmp_path, files):
    _, annotations = files
    masks = detections("rbdc", 0)
    boxes = [{k: v for k, v in d.items() if k != "segmentation"} for d in masks]
    paths = [write(tmp_path, name, masks) for name in ("a.segm.json", "x.json")]
    paths += [write(tmp_path, name, boxes) for name in ("b.bbox.json", "y.json")]
    pairs = [f"{method}={path}" for method, path in zip("abab", paths, strict=True)]
    found = from_predictions(pairs, annotations).evaluations.values()
    assert [sorted(evaluation.predictions) for evaluation in found] == [["bbox", "segm"]] * 2


BAD_PAIRS = {
    "no name": (lambda pairs: [pairs[0].partition("=")[2], pairs[2]], "takes NAME=FILE"),
    "one method": (lambda pairs: pairs[:2], "two methods or more"),
    "one file twice": (lambda pairs: [*pairs, pairs[0]], "named twice"),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_pairs_that_make_no_comparison_are_refused(files, case):
    change, message = BAD_PAIRS[case]
    with pytest.raises(AnalysisError, match=message):
        from_predictions(change(files[0]), files[1])
