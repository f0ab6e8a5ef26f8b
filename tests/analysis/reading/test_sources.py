"""Where a row's weights come from, what is known of their pretraining, what it was tested on."""

import json

import pytest

from mmrbdc.analysis import analyse, collect, print_findings, report_html
from mmrbdc.analysis.reading.detector_runs import LOADED
from tests.analysis.run_dirs import edit_json, keep_training, write_detector, write_pretraining


@pytest.fixture
def detector(tmp_path):
    """A detector from random weights, trained and tested."""
    path = write_detector(tmp_path / "random", name="det", seed=3)
    keep_training(path)
    return path


def test_nothing_loaded_is_random(detector):
    assert collect([detector]).rows[0].method == "random"


@pytest.mark.parametrize("file", ["work_dirs/other/epoch_3.pth", "https://host/a/detector.pth"])
@pytest.mark.parametrize("told_by", ["load_report.json", "train_config.json"])
def test_a_file_that_filled_the_model_is_named(detector, told_by, file):
    """Whichever record says so, whatever the backbone came from."""
    meta = {"name": "r", "method": "rbdc", "family": "deit", "seed": 0, "train_flops": 1e12}
    for checkpoint in (None, meta):
        entry = {"path": file, "sha256": None} if told_by == "load_report.json" else file
        edit_json(detector / "load_report.json", lambda r, c=checkpoint: r.update(checkpoint=c))
        edit_json(detector / told_by, lambda r, e=entry: r.update(load_from=e))
        (row,) = collect([detector]).rows
        assert row.method == LOADED
        assert row.name in ("other/epoch_3", "a/detector")
        assert row.train_flops is None and row.wall_s is None


def test_resuming_in_ones_own_folder_is_no_loading(detector):
    """MMEngine's config then names the run's own checkpoint."""
    own = str(detector / "epoch_2.pth")
    edit_json(detector / "train_config.json", lambda c: c.update(load_from=own, resume=True))
    assert collect([detector]).rows[0].method == "random"


@pytest.mark.parametrize(
    "settings",
    [
        {"init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet50"}},
        {"init_cfg": [{"type": "Kaiming"}, {"type": "Own", "file": "x/backbone.safetensors"}]},
        {"pretrained": "open-mmlab://resnet50"},
    ],
)
def test_a_backbone_that_was_filled_without_a_report_is_not_random(detector, settings):
    edit_json(detector / "train_config.json", lambda c: c["model"]["backbone"].update(settings))
    assert collect([detector]).rows[0].method == LOADED


def test_a_random_row_and_one_from_its_epoch_file_differ(tmp_path, detector):
    """Two methods, and the comparison says in which setting they differ."""
    other = write_detector(tmp_path / "again", name="det", seed=3)
    keep_training(other)
    file = str(detector / "epoch_5.pth")
    edit_json(other / "train_config.json", lambda c: c.update(load_from=file))
    edit_json(other / "load_report.json", lambda r: r.update(load_from={"path": file}))
    findings = analyse(collect([tmp_path]), resamples=0)
    assert sorted(group.label for group in findings.groups) == [LOADED, "random"]
    assert any("load_from" in warning for warning in findings.warnings)


def test_the_backbones_file_says_what_its_pretraining_reached(tmp_path, capsys):
    """In the table too, marked, where the pretraining itself is not compared."""
    source = write_pretraining(tmp_path / "source", name="pre", method="rbdc", wall_s=77.0)
    write_detector(tmp_path / "d" / "rbdc", name="det", source=source, wall_s=40.0)
    report = tmp_path / "d" / "rbdc" / "load_report.json"
    (row,) = collect([tmp_path / "d"]).rows
    assert row.pretrain_wall_s is None and row.wall_s is None  # older files do not say
    edit_json(report, lambda r: r["checkpoint"].update(wall_s=77.0))
    (row,) = collect([tmp_path / "d"]).rows
    assert (row.pretrain_wall_s, row.wall_s) == (77.0, 117.0)
    findings = analyse(collect([tmp_path / "d"]), resamples=0)
    print_findings(findings)
    printed = capsys.readouterr().out
    top1 = json.loads(report.read_text())["checkpoint"]["accuracy"]["val/top1"]
    assert f"{top1:.1f} val" in printed and "1.95 min" in printed
    both = collect([tmp_path])
    assert both.rows[0].top1 == 96.0 and both.rows[0].wall_s == 117.0
    print_findings(analyse(both, resamples=0))
    assert " val " not in capsys.readouterr().out.split("COCO")[0]  # the twin


@pytest.mark.parametrize("file, split", [("val.json", "validation"), ("test.json", "test")])
def test_a_test_on_the_validation_file_is_called_so(detector, file, split, capsys):
    """Also of older tests, which call everything 'test': the two loaders tell."""
    loader = {"dataset": {"type": "CocoDataset", "data_root": "d/", "ann_file": file}}
    with (detector / "det.py").open("a") as config:
        config.write(f"test_dataloader = {loader!r}\n")
    val = {"dataset": {"type": "CocoDataset", "ann_file": "d/val.json"}}
    edit_json(detector / "train_config.json", lambda c: c.update(val_dataloader=val))
    comparison = collect([detector])
    assert comparison.rows[0].detector_split == split
    findings = analyse(comparison, resamples=0)
    print_findings(findings)
    assert f"on the {split} split" in " ".join(capsys.readouterr().out.split())
    assert f"scored on the {split} split" in report_html(findings)
