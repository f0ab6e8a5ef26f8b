"""What differs beside the backbone's weights is named."""

import pytest

from mmrbdc.analysis import (
    analyse,
    collect,
    report_html,
)
from tests.analysis.detector_case import make_run, printed
from tests.analysis.run_dirs import (
    ONE_STEP,
    edit_json,
    write_pretraining,
)

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


def test_the_page_of_this_speed_says_where_it_was_measured(detectors):
    text = report_html(analyse(collect([detectors]), resamples=2))
    assert "a CPU, 1 thread, 8 images per batch" in text and "CANNOT" not in text


def test_unequal_hardware_is_said(tmp_path, capsys):
    make_run(tmp_path, "rbdc")
    other = make_run(tmp_path, "random")
    edit_json(other / "test.json", lambda t: t["throughput"].update(device="an H200"))
    text = printed(analyse(collect([tmp_path]), resamples=0), capsys)
    assert "CANNOT be compared" in text and "random on an H200" in text.replace("\n", " ")


def test_a_warning_is_not_markup(tmp_path, capsys):
    """Paths and values may hold brackets, which rich would take for style."""
    make_run(tmp_path, "rbdc", train_cfg__note="[red]x")
    make_run(tmp_path, "random")
    assert "[red]x" in printed(analyse(collect([tmp_path]), resamples=0), capsys)


def _numerics(path, name, **stage):
    """A pretraining whose stages were trained so."""
    write_pretraining(path / name, name=name, method="rbdc", stages=ONE_STEP)
    crop = dict(type="mmrbdc.RandomResizedCrop", scale=224, backend="torch")
    dataset = dict(type="mmrbdc.ReplayableDataset", dataset=dict(pipeline=[crop]))
    content = dict(optim_wrapper=dict(autocast_dtype="bfloat16"), float32_precision="tf32",
                   model=dict(compute="loop"), train_dataloader=dict(dataset=dataset))  # fmt: skip
    content |= stage
    edit_json(path / name / "plan.json", lambda plan: plan.update(fingerprints=[content] * 2))


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        (dict(optim_wrapper={}), "autocast: bfloat16 (a); none (b)"),
        (dict(float32_precision=None), "float32 on GPUs: tf32 (a); torch's default (b)"),
        (dict(model=dict(compute="stacked")), "members: loop (a); stacked (b)"),
        (dict(model=dict(channels_last=True)), "channels-last: no (a); yes (b)"),
        (dict(compile=True), "compiled: no (a); yes (b)"),
        (
            dict(train_dataloader=dict(dataset=dict(pipeline=[dict(type="RandomResizedCrop")]))),
            "crops resized by: torch (a); cv2 (b)",
        ),
        ({}, None),
    ],
)
def test_pretrainings_with_other_numerics_are_told_apart(tmp_path, stage, told):
    _numerics(tmp_path, "a")
    _numerics(tmp_path, "b", **stage)
    warnings = analyse(collect([tmp_path]), resamples=0).warnings
    if told is None:
        assert warnings == ()
    else:
        assert warnings == (f"deit was pretrained with other numerics, {told}",)


def test_a_plan_of_an_earlier_version_says_nothing_of_its_numerics(tmp_path):
    _numerics(tmp_path, "a")
    write_pretraining(tmp_path / "b", name="b", method="rbdc", stages=ONE_STEP)
    assert analyse(collect([tmp_path]), resamples=0).warnings == ()
