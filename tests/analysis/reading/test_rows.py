"""Runs are read strictly, and a detector joins the pretraining it was made from."""

import json
import shutil

import pytest

from mmrbdc.analysis import AnalysisError, collect
from tests.analysis.run_dirs import (
    SCRATCH,
    TWO_STEPS,
    edit_json,
    keep_training,
    write_demo,
    write_detector,
    write_json,
    write_pretraining,
)


def rows_of(*paths):
    return collect(paths).rows


def pretraining(path, **changes):
    options = {"name": "deit-micro_2step_digits", "method": "rbdc", **changes}
    return write_pretraining(path, **options)


def test_a_pretraining_and_its_detector_are_one_row(tmp_path):
    source = pretraining(tmp_path / "a", seed=3, top1=96.5, wall_s=100.0)
    detector = write_detector(
        tmp_path / "b", name="det", source=source, seed=9, bbox=0.31, segm=0.27, wall_s=40.0
    )
    (row,) = rows_of(source, detector)
    assert (row.method, row.family, row.name, row.detector, row.seed) == (
        "rbdc", "deit", "deit-micro_2step_digits", "det", 3
    )  # fmt: skip
    assert (row.top1, row.bbox_mAP, row.segm_mAP, row.bbox_mAP_50) == (96.5, 0.31, 0.27, 0.51)
    assert row.train_flops == sum(flops for *_, flops in TWO_STEPS)
    assert row.epochs == (60.0, 40.0, 27.5)
    assert row.wall_s == pytest.approx(140.0)
    assert (row.pretrain_wall_s, row.finetune_wall_s) == (pytest.approx(100.0), 40.0)
    assert row.segm_mAP_50 is None


def test_a_detector_without_checkpoint_is_random(tmp_path):
    explicit = write_detector(tmp_path / "a", name="det", seed=4)
    absent = write_detector(tmp_path / "b", name="det", family="resnet", seed=5)
    (absent / "load_report.json").unlink()
    rows = rows_of(explicit, absent)
    assert [(r.method, r.family, r.name, r.seed) for r in rows] == [
        ("random", "deit", "det", 4), ("random", "resnet", "det", 5)
    ]  # fmt: skip
    assert all(r.train_flops == 0 and r.top1 is None and r.pretrain_wall_s == 0 for r in rows)


def two_seeds(tmp_path):
    """Two seeds whose scores tell which is which; detectors are listed in the other order."""
    sources = [pretraining(tmp_path / f"p{s}", seed=s, top1=90.0 + s) for s in (0, 1)]
    detectors = [
        write_detector(tmp_path / f"d{s}", name="det", source=sources[s], bbox=0.3 + s / 10)
        for s in (1, 0)
    ]
    return sources + detectors


def test_seeds_of_one_protocol_are_kept_apart(tmp_path):
    rows = rows_of(*two_seeds(tmp_path))
    assert [(r.seed, r.top1, r.bbox_mAP) for r in rows] == [(0, 90.0, 0.3), (1, 91.0, 0.4)]


def test_a_wrong_seed_in_the_load_report_joins_the_wrong_run(tmp_path):
    """The twin: it is the seed in the report that joins, so a wrong one must be seen."""
    paths = two_seeds(tmp_path)
    for path in paths[2:]:
        edit_json(path / "load_report.json", lambda r: r["checkpoint"].update(seed=0))
    with pytest.raises(AnalysisError, match="val_top1"):
        rows_of(*paths)


def test_without_its_pretraining_a_detector_keeps_what_its_checkpoint_says(tmp_path):
    source = pretraining(tmp_path / "a", seed=2)
    detector = write_detector(tmp_path / "b", name="det", source=source)
    (row,) = rows_of(detector)
    assert (row.method, row.seed, row.train_flops) == ("rbdc", 2, 16.6e12)
    assert row.top1 is None and row.wall_s is None and row.val_top1 is not None
    assert row.finetune_wall_s == 90.0


def test_a_pretraining_without_detector_has_no_ap(tmp_path):
    (row,) = rows_of(pretraining(tmp_path / "a", stages=SCRATCH, method="scratch", name="s"))
    assert (row.detector, row.bbox_mAP, row.finetune_wall_s) == (None, None, None)
    assert row.wall_s == row.pretrain_wall_s


def test_folders_are_searched_and_no_run_counts_twice(tmp_path):
    root = write_demo(tmp_path, seeds=(0, 1))
    rows = rows_of(root)
    assert [(r.method, r.seed) for r in rows] == [
        (method, seed) for method in ("rbdc", "scratch", "random") for seed in (0, 1)
    ]
    assert rows_of(root, root / "deit-seed0", root / "deit-seed1" / "rbdc") == rows


def test_rows_are_plain_json(tmp_path):
    for row in rows_of(write_demo(tmp_path)):
        assert json.loads(json.dumps(row.to_dict())) == row.to_dict()


def test_a_stage_with_one_member_needs_no_member_curves(tmp_path):
    path = pretraining(tmp_path / "a")
    edit_json(path / "stage2_1x192" / "curve.json", lambda c: [p.pop("members") for p in c])
    assert collect([path]).pretrainings[0].stages[2].curve[0].members == ()


MISSING = {
    "ledger.json": "tools/train.py",
    "test.json": "tools/test.py",
    "deit-micro_2step_digits.json": "tools/train.py",
    "stage1_2x96/curve.json": "tools/train.py",
    "stage1_2x96/junction.json": "tools/train.py",
}


@pytest.mark.parametrize("file", MISSING)
@pytest.mark.parametrize("damage", ["missing", "truncated", "a list of numbers"])
def test_a_damaged_pretraining_file_is_named_with_its_maker(tmp_path, file, damage):
    path = pretraining(tmp_path / "a") / file
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_text(path.read_text()[:25])
    else:
        path.write_text("[1, 2]")
    with pytest.raises(AnalysisError) as caught:
        collect([tmp_path / "a"])
    assert str(path) in str(caught.value)
    assert MISSING[file] in str(caught.value)


FIELDS = {
    "percent as a fraction of 100 plus": ("test.json", lambda t: t.update(top1=970.0), "'top1'"),
    "not a number": ("test.json", lambda t: t.update(top1=float("nan")), "'top1'"),
    "text": ("test.json", lambda t: t.update(top1="97"), "'top1'"),
    "no split": ("test.json", lambda t: t.pop("split"), "'split' is missing"),
    "negative FLOPs": ("ledger.json", lambda x: x.update(total_flops=-1), "'total_flops'"),
    "no stages": ("plan.json", lambda p: p.update(stages=[]), "'stages' is empty"),
    "half a member": ("plan.json", lambda p: p["stages"][0].update(members=0.5), "'members'"),
    "other ledger": ("ledger.json", lambda x: x["stages"].pop(), "--resume"),
    "other FLOPs": ("ledger.json", lambda x: x.update(total_flops=3e12), "train_flops"),
    "other method": ("plan.json", lambda p: p.update(method="scratch"), "'method'"),
    "lost member": (
        "stage0_4x48/curve.json", lambda c: c[3]["members"].pop(), "3 values, the stage has 4"
    ),
    "empty curve": ("stage0_4x48/curve.json", lambda c: c.clear(), "is empty"),
    "curve backwards": ("stage0_4x48/curve.json", lambda c: c.reverse(), "only goes forward"),
    "lost child": ("stage1_2x96/junction.json", lambda j: j["children"].pop(), "1 children"),
    "lost parent": (
        "stage1_2x96/junction.json", lambda j: j["children"][0]["parents"].pop(), "3 parents"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FIELDS)
def test_an_odd_field_is_named(tmp_path, case):
    file, change, message = FIELDS[case]
    edit_json(pretraining(tmp_path / "a") / file, change)
    with pytest.raises(AnalysisError) as caught:
        collect([tmp_path / "a"])
    assert message in str(caught.value)
    assert str(tmp_path / "a") in str(caught.value)


DETECTOR_DAMAGE = {
    "no scores": (lambda d: (d / "test.json").unlink(), "tools/test.py"),
    "no wall time": (lambda d: (d / "wall.json").unlink(), "tools/train.py"),
    "no config": (lambda d: (d / "det.py").unlink(), "found none"),
    "two configs": (lambda d: shutil.copy(d / "det.py", d / "x.py"), "found det.py, x.py"),
    "broken config": (lambda d: (d / "det.py").write_text("model = dict("), "det.py"),
    "no detector": (lambda d: (d / "det.py").write_text("a = 1"), "not a readable detector config"),
    "no family": (
        lambda d: (d / "det.py").write_text("model = dict(backbone=dict(type='Swin'))"),
        "'Swin' is of no known family; known: deit, resnet",
    ),
    "AP in percent": (
        lambda d: edit_json(d / "test.json", lambda t: t.update(bbox_mAP=31.0)), "'bbox_mAP'"
    ),
    "no objects": (
        lambda d: edit_json(d / "test.json", lambda t: t.update(segm_mAP=-1)), "'segm_mAP'"
    ),
    "nameless checkpoint": (
        lambda d: edit_json(d / "load_report.json", lambda r: r["checkpoint"].pop("name")),
        "'name' is missing",
    ),
    "other family": (
        lambda d: edit_json(
            d / "load_report.json", lambda r: r["checkpoint"].update(family="resnet")
        ),
        "is of a resnet checkpoint",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DETECTOR_DAMAGE)
def test_a_damaged_detector_is_refused(tmp_path, case):
    damage, message = DETECTOR_DAMAGE[case]
    source = pretraining(tmp_path / "a")
    damage(write_detector(tmp_path / "d", name="det", source=source))
    with pytest.raises(AnalysisError) as caught:
        collect([source, tmp_path / "d"])
    assert message in str(caught.value)
    assert str(tmp_path / "d") in str(caught.value)


def test_a_pretraining_that_was_run_again_is_noticed(tmp_path):
    source = pretraining(tmp_path / "a")
    detector = write_detector(tmp_path / "d", name="det", source=source)
    edit_json(
        source / "deit-micro_2step_digits.json", lambda m: m.update(accuracy={"val/top1": 12.0})
    )
    with pytest.raises(AnalysisError, match="run again since"):
        collect([source, detector])


def test_two_runs_of_one_name_and_seed_are_ambiguous(tmp_path):
    paths = [pretraining(tmp_path / name) for name in "ab"]
    with pytest.raises(AnalysisError, match="name only one of them"):
        collect(paths)


def test_the_seed_of_a_detector_is_the_one_it_was_trained_with(tmp_path):
    """tools/test.py leaves the config's own seed in the config; wall.json keeps --seed."""
    paths = [write_detector(tmp_path / name, name="det", seed=0) for name in "ab"]
    with pytest.raises(AnalysisError, match="from random weights with seed 0"):
        collect(paths)
    edit_json(paths[1] / "wall.json", lambda w: w.update(seed=5))
    assert [row.seed for row in rows_of(*paths)] == [0, 5]


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"model__backbone__frozen_stages": 2}, "model.backbone.frozen_stages: -1 and 2"),
        ({"train_cfg__max_epochs": 12}, "train_cfg.max_epochs: 5 and 12"),
        ({"model__neck": {"type": "FPN"}}, "model.neck.type: not set and 'FPN'"),
        ({"train_dataloader__num_workers": 7}, None),  # decides nothing
    ],
)
def test_two_recipes_under_one_name_are_told_by_their_settings(tmp_path, settings, told):
    """Another seed in wall.json would make one method of them."""
    paths = [write_detector(tmp_path / name, name="det", seed=0) for name in "ab"]
    keep_training(paths[0])
    keep_training(paths[1], **settings)
    with pytest.raises(AnalysisError, match="both 'det' from random weights with seed 0") as caught:
        collect(paths)
    if told is None:
        assert "wall.json" in str(caught.value)
    else:
        assert told in str(caught.value) and "wall.json" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pretrainings", "detectors"])
def test_scores_on_different_splits_are_not_compared(tmp_path, kind):
    if kind == "pretrainings":
        paths = [pretraining(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    else:
        paths = [write_detector(tmp_path / str(seed), name="det", seed=seed) for seed in (0, 1)]
    edit_json(paths[1] / "test.json", lambda t: t.update(split="val"))
    with pytest.raises(AnalysisError, match="different splits"):
        collect(paths)


def test_folders_without_runs_are_refused(tmp_path):
    with pytest.raises(AnalysisError, match="no work dirs"):
        collect([])
    with pytest.raises(AnalysisError, match="is not a folder"):
        collect([tmp_path / "nowhere"])
    write_json(tmp_path / "x" / "other.json", {})
    with pytest.raises(AnalysisError, match="holds no run"):
        collect([tmp_path / "x"])
