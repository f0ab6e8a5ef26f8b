"""Differences over the test images: of which runs, from which files."""

import shutil

import pytest

from mmrbdc.analysis import (
    AnalysisError,
    analyse,
    collect,
)
from mmrbdc.analysis.coco import match, paired_bootstrap, read_annotations, read_predictions
from tests.analysis.coco.coco_files import (
    make_annotations,
    make_predictions,
    pycocotools_stats,
    write,
)
from tests.analysis.detector_case import DATA, QUALITY, detections, make_run
from tests.analysis.run_dirs import (
    edit_json,
    keep_predictions,
)


def test_different_annotations_are_refused(tmp_path):
    make_run(tmp_path, "rbdc")
    other = make_run(tmp_path, "random")
    changed = write(tmp_path, "other.json", make_annotations(seed=9))
    keep_predictions(other, changed, make_predictions(make_annotations(seed=9)))
    with pytest.raises(AnalysisError, match="different annotations"):
        collect([tmp_path])


CHANGED = {
    "predictions": ("random0_0.001/predictions.bbox.json", "is not the file that the test"),
    "annotations": ("annotations.json", "is not the annotations"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_files_that_changed_since_the_test_are_refused(tmp_path, case):
    make_run(tmp_path, "rbdc"), make_run(tmp_path, "random")
    name, message = CHANGED[case]
    (tmp_path / name).write_text((tmp_path / name).read_text() + " ")
    with pytest.raises(AnalysisError, match=message):
        analyse(collect([tmp_path]))


def test_annotations_may_have_moved(tmp_path):
    make_run(tmp_path, "rbdc"), make_run(tmp_path, "random")
    moved = tmp_path / "annotations.json"
    moved = moved.rename(tmp_path / "moved.json")
    with pytest.raises(AnalysisError, match="--annotations"):
        analyse(collect([tmp_path]))
    assert analyse(collect([tmp_path]), resamples=2, annotations=moved).over_images


def test_annotations_may_be_named_as_a_file_that_every_run_has(tmp_path):
    """Such as ``val.json``; predictions of the same name are the run's own."""
    annotations = write(tmp_path, "val.json", DATA)
    for method in ("rbdc", "random"):
        run = make_run(tmp_path, method)
        assert (run / annotations.name).is_file()
        keep_predictions(run, annotations, detections(method, 0))
    assert analyse(collect([tmp_path]), resamples=2).over_images


def of_class(name, data, found):
    """The part of annotations and detections that is of one category."""
    (kept,) = (c["id"] for c in data["categories"] if c["name"] == name)
    part = dict(data, categories=[c for c in data["categories"] if c["id"] == kept])
    part["annotations"] = [a for a in data["annotations"] if a["category_id"] == kept]
    return part, [d for d in found if d["category_id"] == kept]


def test_a_run_on_some_of_the_classes_is_scored_on_them(tmp_path, capsys):
    """As MMDetection scores it; twin: without the note, AP is a mean with classes never trained."""
    runs = {method: make_run(tmp_path, method) for method in QUALITY}
    expected = {}
    for method, path in runs.items():
        data, own = of_class("thing 1", DATA, detections(method, 0))
        expected[method] = pycocotools_stats(data, own, "bbox")[0]
        keep_predictions(path, tmp_path / "annotations.json", own, images=tmp_path / "images")
        edit_json(path / "test.json", lambda t: t.update(classes=["thing 1"]))
    found = analyse(collect([tmp_path]), resamples=2)
    assert {g.rows[0].method: g.rows[0].bbox_mAP for g in found.groups} == expected
    for path in runs.values():
        edit_json(path / "test.json", lambda t: t.pop("classes"))
    found = analyse(collect([tmp_path]), resamples=2)
    assert all(g.rows[0].bbox_mAP < 0.5 * expected[g.rows[0].method] for g in found.groups)


def test_runs_on_other_classes_are_refused(tmp_path):
    for method, names in (("rbdc", ["thing 0", "thing 1"]), ("random", ["thing 1"])):
        edit_json(make_run(tmp_path, method) / "test.json", lambda t, n=names: t.update(classes=n))
    with pytest.raises(AnalysisError, match=r"different classes \(thing 0 in one of them only\)"):
        collect([tmp_path])


def test_a_copied_run_is_judged_by_its_own_predictions(tmp_path):
    rbdc, other = make_run(tmp_path / "there", "rbdc"), make_run(tmp_path / "there", "random")
    for run in (rbdc, other):
        shutil.copytree(run, tmp_path / "here" / run.name)
    (rbdc / "predictions.bbox.json").write_text("[]")
    assert analyse(collect([tmp_path / "here"]), resamples=2).over_images
    copied = tmp_path / "here" / rbdc.name / "predictions.bbox.json"
    copied.write_text(copied.read_text() + " ")
    with pytest.raises(AnalysisError, match=f"{copied} .* is not the file that the test"):
        analyse(collect([tmp_path / "here"]), resamples=2)


def test_the_bootstrap_is_of_the_means_over_the_common_seeds(detectors):
    boxes, masks = analyse(collect([detectors]), resamples=50).over_images
    assert (boxes.field, masks.field) == ("bbox_mAP", "segm_mAP")
    assert boxes.seeds == (0, 1) and boxes.runs == (2, 2)
    annotations = read_annotations(detectors / "annotations.json")

    def matches(method):
        paths = [detectors / f"{method}{seed}_0.001" / "predictions.bbox.json" for seed in (0, 1)]
        return [match(annotations, read_predictions(p, annotations), "bbox") for p in paths]

    expected = paired_bootstrap(matches("rbdc"), matches("random"), resamples=50)
    assert boxes.result == expected
    assert expected.low > 0


def test_scores_that_do_not_fit_the_predictions_are_noticed(tmp_path):
    path = make_run(tmp_path)
    edit_json(path / "test.json", lambda t: t.update(bbox_mAP=0.999))
    (warning,) = analyse(collect([path])).warnings
    assert "disagree" in warning and "bbox_mAP 0.999 there" in warning
