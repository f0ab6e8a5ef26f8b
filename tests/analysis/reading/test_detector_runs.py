"""Detectors compared: their files, learning rates, fairness and differences over images."""

import csv
import io
import json
import shutil

import cv2
import numpy as np
import pytest

from mmrbdc.analysis import (
    AnalysisError,
    analyse,
    collect,
    differing_images,
    from_predictions,
    groups,
    print_findings,
    report_html,
    write_report,
)
from mmrbdc.analysis.coco import match, paired_bootstrap, read_annotations, read_predictions
from mmrbdc.analysis.compare.over_images import score_predictions
from mmrbdc.analysis.reports.comparison_files import differences
from mmrbdc.analysis.reports.table import WIDTH as COLUMNS
from tests.analysis.coco.coco_files import (
    HEIGHT,
    WIDTH,
    make_annotations,
    make_predictions,
    pycocotools_stats,
    write,
)
from tests.analysis.detector_case import DATA, QUALITY, detections
from tests.analysis.run_dirs import (
    edit_json,
    keep_predictions,
    keep_training,
    write_detector,
    write_json,
)


def make_run(root, method="random", seed=0, lr=1e-3, val=0.3, **settings):
    """A tested detector: one from a file of RBDC's, or one from random weights."""
    path = write_detector(root / f"{method}{seed}_{lr:g}", name=f"det_{method}", seed=seed)
    if method == "rbdc":
        meta = {"name": "r", "method": "rbdc", "family": "deit", "seed": 0, "train_flops": 1e12}
        write_json(path / "load_report.json", {"checkpoint": meta})
    annotations = root / "annotations.json"
    if not annotations.exists():
        write(root, annotations.name, DATA)
    keep_predictions(path, annotations, detections(method, seed), images=root / "images")
    keep_training(path, lr=lr, val=val, **settings)
    return path


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Two methods, two seeds, two learning rates."""
    root = tmp_path_factory.mktemp("runs")
    for method in QUALITY:
        for seed in (0, 1):
            make_run(root, method, seed, lr=1e-3, val=0.3)
            make_run(root, method, seed, lr=1e-2, val=0.1)
    (root / "images").mkdir()
    for image in DATA["images"]:
        blank = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        cv2.imwrite(str(root / "images" / image["file_name"]), blank)
    return root


def printed(findings, capsys):
    print_findings(findings)
    return capsys.readouterr().out


def test_every_file_of_a_detector_is_in_its_row(tmp_path):
    (row,) = collect([make_run(tmp_path, lr=2e-4, val=0.25)]).rows
    assert (row.lr, row.val_bbox_mAP, row.finetune_flops) == (2e-4, 0.25, 4.7e12)
    assert (row.params, row.backbone_params, row.finetune_images) == (1_200_000, 460_000, 2000)
    assert (row.images_per_s, row.test_batch_size) == (25.0, 8)
    assert row.test_device == "a CPU, 1 thread" and row.checkpoint.endswith("epoch_5.pth")


def test_scores_are_pycocotools_to_the_last_digit(demo):
    """Not the three decimals of test.json (the twin)."""
    for row in analyse(collect([demo]), resamples=1).groups[0].rows:
        for kind in ("bbox", "segm"):
            stats = pycocotools_stats(DATA, detections("rbdc", row.finetune_seed), kind)
            scores = [getattr(row, f"{kind}_mAP{part}") for part in ("", "_50", "_75")]
            assert scores == stats[:3]
            assert scores != [round(score, 3) for score in scores]


def test_sizes_that_the_data_do_not_have_are_left_out(tmp_path):
    path = make_run(tmp_path)
    edit_json(path / "test.json", lambda t: t.update(bbox_mAP_s=-1.0))
    assert collect([path]).rows[0].bbox_mAP_s is None
    edit_json(path / "test.json", lambda t: t.update(bbox_mAP=-1.0))
    with pytest.raises(AnalysisError, match="'bbox_mAP'"):
        collect([path])


def test_a_detector_of_boxes_alone_has_no_masks(tmp_path):
    path = make_run(tmp_path)

    def boxes(test):
        for key in [key for key in test if key.startswith("segm")]:
            del test[key]
        del test["predictions"]["segm"]

    edit_json(path / "test.json", boxes)
    (row,) = analyse(collect([path])).groups[0].rows
    assert row.segm_mAP is None and row.bbox_mAP > 0


def test_a_detector_that_found_nothing_says_so(tmp_path):
    path = make_run(tmp_path)
    edit_json(path / "test.json", lambda t: t.pop("bbox_mAP"))
    with pytest.raises(AnalysisError, match="found nothing at all"):
        collect([path])


def test_a_detector_that_found_nothing_is_a_row_with_ap_0_beside_the_others(tmp_path):
    paths = [make_run(tmp_path, "rbdc"), make_run(tmp_path, "random")]
    keep_predictions(paths[1], tmp_path / "annotations.json", [], images=tmp_path / "images")
    comparison = collect(paths)
    scored = score_predictions(comparison, comparison.rows)
    found = {row.method: row for row in scored.rows.values()}
    assert found["random"].bbox_mAP == found["random"].segm_mAP == 0.0
    assert found["rbdc"].bbox_mAP > 0.1


def test_another_librarys_backbone_has_its_name_and_unknown_cost(tmp_path):
    path = make_run(tmp_path)
    meta = {"path": "weights/resnet50-11ad3fa6.pth", "library": "torchvision", "sha256": "1"}
    write_json(path / "load_report.json", {"checkpoint": meta})
    (row,) = collect([path]).rows
    assert (row.method, row.name, row.train_flops) == (
        "torchvision",
        "weights/resnet50-11ad3fa6",
        None,
    )


def test_seeds_of_the_fine_tuning_count_where_there_is_one_pretraining(demo):
    rbdc, random = groups(collect([demo]))
    assert (rbdc.seeds, random.seeds) == ((0, 1), (0, 1))
    assert rbdc.spread("bbox_mAP").n == 2


def test_the_best_learning_rate_by_validation_is_shown_and_the_grid_with_it(demo, capsys):
    findings = analyse(collect([demo]), resamples=2)
    assert [{row.lr for row in group.rows} for group in findings.groups] == [{1e-3}, {1e-3}]
    assert [len(group.grid) for group in findings.groups] == [4, 4]
    assert findings.warnings == ()
    text = printed(findings, capsys)
    assert "Learning rates" in text and text.count(" 0.01 ") == 2
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_a_better_test_score_does_not_choose_the_rate(tmp_path):
    """The twin: the validation says otherwise, and only without it the test score decides."""
    good, bad = make_run(tmp_path, lr=1e-3, val=0.3), make_run(tmp_path, lr=1e-2, val=0.1)
    edit_json(good / "test.json", lambda t: t.update(bbox_mAP=0.1))
    edit_json(bad / "test.json", lambda t: t.update(bbox_mAP=0.9))
    found = analyse(collect([tmp_path]), resamples=0)
    assert found.groups[0].rows[0].lr == 1e-3 and not found.warnings
    (bad / "val.json").unlink()
    found = analyse(collect([tmp_path]), resamples=0)
    assert found.groups[0].rows[0].lr == 1e-2
    assert "chosen by the very AP that is reported" in found.warnings[0]


def test_rows_with_different_grids_are_warned_of(tmp_path, capsys):
    make_run(tmp_path, "rbdc", lr=1e-3), make_run(tmp_path, "rbdc", lr=1e-2)
    make_run(tmp_path, "random", lr=1e-3)
    findings = analyse(collect([tmp_path]), resamples=0)
    (warning,) = findings.warnings
    assert "RBDC 0.001, 0.01; random 0.001" in warning
    assert "not given the same learning rates" in printed(findings, capsys).replace("\n", " ")
    assert "not given the same learning rates" in report_html(findings)


def test_a_rate_with_fewer_seeds_is_warned_of(tmp_path):
    for method in QUALITY:
        make_run(tmp_path, method, 0), make_run(tmp_path, method, 0, lr=1e-2)
    make_run(tmp_path, "rbdc", 1)
    (warning,) = analyse(collect([tmp_path]), resamples=0).warnings
    assert "RBDC has 2 at 0.001, 1 at 0.01" in warning


UNFAIR = {
    "freezing": ({"model__backbone__frozen_stages": 1}, "model.backbone.frozen_stages: 1 (RBDC)"),
    "norms": ({"model__backbone__norm_eval": True}, "model.backbone.norm_eval: True (RBDC)"),
    "schedule": ({"train_cfg__max_epochs": 12}, "train_cfg.max_epochs: 12 (RBDC); 5 (random)"),
    "batch": ({"train_dataloader__batch_size": 2}, "train_dataloader.batch_size"),
}


@pytest.mark.parametrize("case", UNFAIR)
def test_what_differs_beside_the_weights_is_named(tmp_path, case):
    settings, message = UNFAIR[case]
    make_run(tmp_path, "rbdc", **settings)
    make_run(tmp_path, "random")
    (warning,) = analyse(collect([tmp_path]), resamples=0).warnings
    assert "differ in more than the backbone's weights" in warning and message in warning


def test_runs_of_one_row_must_be_alike_too(tmp_path):
    make_run(tmp_path, lr=1e-3), make_run(tmp_path, lr=1e-2, train_cfg__max_epochs=9)
    (warning,) = analyse(collect([tmp_path]), resamples=0).warnings
    assert "train_cfg.max_epochs" in warning


def test_other_settings_of_the_test_are_named_too(tmp_path):
    """They are in the config that testing writes, not in the training's."""
    make_run(tmp_path, "rbdc")
    config = make_run(tmp_path, "random") / "det_random.py"
    config.write_text(config.read_text() + "test_dataloader = dict(batch_size=3)\n")
    (warning,) = analyse(collect([tmp_path]), resamples=0).warnings
    assert "test.dataloader.batch_size" in warning and "3 (random)" in warning


def test_what_may_differ_is_not_warned_of(tmp_path):
    make_run(tmp_path, "rbdc", model__backbone__init_cfg={"checkpoint": "a.pth"},
             train_dataloader__num_workers=7)  # fmt: skip
    make_run(tmp_path, "random", train_cfg__val_interval=3)
    assert analyse(collect([tmp_path]), resamples=0).warnings == ()


def test_detectors_of_two_classes_are_not_set_against_each_other(tmp_path):
    make_run(tmp_path, "rbdc")
    other = make_run(tmp_path, "random")
    for name in ("det_random.py", "train_config.json"):
        text = (other / name).read_text().replace("MaskRCNN", "RetinaNet")
        (other / name).write_text(text)
    findings = analyse(collect([tmp_path]), resamples=2)
    assert findings.over_images == () and findings.warnings == ()


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


def test_the_bootstrap_is_of_the_means_over_the_common_seeds(demo):
    boxes, masks = analyse(collect([demo]), resamples=50).over_images
    assert (boxes.field, masks.field) == ("bbox_mAP", "segm_mAP")
    assert boxes.seeds == (0, 1) and boxes.runs == (2, 2)
    annotations = read_annotations(demo / "annotations.json")

    def matches(method):
        paths = [demo / f"{method}{seed}_0.001" / "predictions.bbox.json" for seed in (0, 1)]
        return [match(annotations, read_predictions(p, annotations), "bbox") for p in paths]

    expected = paired_bootstrap(matches("rbdc"), matches("random"), resamples=50)
    assert boxes.result == expected
    assert expected.low > 0


def test_scores_that_do_not_fit_the_predictions_are_noticed(tmp_path):
    path = make_run(tmp_path)
    edit_json(path / "test.json", lambda t: t.update(bbox_mAP=0.999))
    (warning,) = analyse(collect([path])).warnings
    assert "disagree" in warning and "bbox_mAP 0.999 there" in warning


def test_all_files_of_a_report(demo, tmp_path):
    findings = analyse(collect([demo]), resamples=20)
    pictures = differing_images(findings)
    assert 1 <= len(pictures) <= 3 and all(p.png.startswith(b"\x89PNG") for p in pictures)
    paths = write_report(findings, tmp_path / "out", pictures)
    html = paths["report"].read_text()
    assert html.count("<img") == html.count('src="data:image/png;base64,') == len(pictures)
    runs = list(csv.DictReader(io.StringIO(paths["comparison"].read_text())))
    assert len(runs) == 8 and [run["chosen"] for run in runs].count("True") == 4
    results = json.loads(paths["results"].read_text())
    assert [float(run["bbox_mAP"]) for run in runs] == [row["bbox_mAP"] for row in results]
    compared = json.loads(paths["differences"].read_text())
    (boxes, _) = compared["over_images"]
    assert boxes["low"] <= boxes["difference"] <= boxes["high"] and boxes["resamples"] == 20


def test_the_page_of_this_speed_says_where_it_was_measured(demo):
    text = report_html(analyse(collect([demo]), resamples=2))
    assert "a CPU, 1 thread, 8 images a batch" in text and "CANNOT" not in text


def test_unequal_hardware_is_said(tmp_path, capsys):
    make_run(tmp_path, "rbdc")
    other = make_run(tmp_path, "random")
    edit_json(other / "test.json", lambda t: t["throughput"].update(device="an H200"))
    text = printed(analyse(collect([tmp_path]), resamples=0), capsys)
    assert "CANNOT be compared" in text and "random on an H200" in text.replace("\n", " ")


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


def test_a_warning_is_not_markup(tmp_path, capsys):
    """Paths and values may hold brackets, which rich would take for style."""
    make_run(tmp_path, "rbdc", train_cfg__note="[red]x")
    make_run(tmp_path, "random")
    assert "[red]x" in printed(analyse(collect([tmp_path]), resamples=0), capsys)
