"""A tested detector's files become its row, and rows of one method a group."""

import pytest

from mmrbdc.analysis import (
    AnalysisError,
    analyse,
    collect,
    groups,
)
from mmrbdc.analysis.compare.over_images import score_predictions
from tests.analysis.coco.coco_files import (
    pycocotools_stats,
)
from tests.analysis.detector_case import DATA, detections, make_run
from tests.analysis.run_dirs import (
    edit_json,
    keep_predictions,
    write_json,
)


def test_every_file_of_a_detector_is_in_its_row(tmp_path):
    (row,) = collect([make_run(tmp_path, lr=2e-4, val=0.25)]).rows
    assert (row.lr, row.val_bbox_mAP, row.finetune_flops) == (2e-4, 0.25, 4.7e12)
    assert (row.params, row.backbone_params, row.finetune_images) == (1_200_000, 460_000, 2000)
    assert (row.images_per_s, row.test_batch_size) == (25.0, 8)
    assert row.test_device == "a CPU, 1 thread" and row.checkpoint.endswith("epoch_5.pth")


def test_scores_are_pycocotools_to_the_last_digit(detectors):
    """Not the three decimals of test.json (the twin)."""
    for row in analyse(collect([detectors]), resamples=1).groups[0].rows:
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


def test_seeds_of_the_fine_tuning_count_where_there_is_one_pretraining(detectors):
    rbdc, random = groups(collect([detectors]))
    assert (rbdc.seeds, random.seeds) == ((0, 1), (0, 1))
    assert rbdc.spread("bbox_mAP").n == 2
