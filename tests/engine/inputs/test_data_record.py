"""Members say what they were trained on, and become parents only with weights that are numbers."""

import copy
import json

import pytest
import torch

from mmrbdc.engine.inputs.data_record import parents_trained_otherwise, record_of_child
from mmrbdc.growth import GrowthError
from mmrbdc.weights import DataRecord, Preprocessing, WeightsError, read_checkpoint, save_member
from tests.engine.tiny_runs import (
    CLASSES,
    load_json,
    one_stage,
    stage_run,
    staged,
    train,
    train_protocol,
)

OWN = DataRecord(
    Preprocessing((127.5,) * 3, (50.0,) * 3, "rgb", (16, 16)),
    tuple(f"class{i}" for i in range(CLASSES)),
)


@pytest.fixture(scope="module")
def finished(images, tmp_path_factory):
    """The folder of a protocol; tests read it."""
    folder = tmp_path_factory.mktemp("recorded") / "tiny"
    train_protocol(staged(images, folder))
    return folder


def test_members_final_files_and_the_side_car_say_what_they_were_trained_on(finished):
    files = [*finished.glob("stage*/members/*.pth"), finished / "tiny.pth"]
    files.append(finished / "tiny.safetensors")
    assert len(files) == 5
    for file in files:
        assert DataRecord.from_meta(read_checkpoint(file).meta, file) == OWN
    assert DataRecord.from_meta(load_json(finished / "tiny.json"), "side-car") == OWN


def test_the_record_decides_nothing(finished, images):
    """Files without one, as they were written before, are the parents of the same child."""
    for file in finished.glob("stage0*/members/*.pth"):
        content = torch.load(file, weights_only=True)
        for key in ("preprocessing", "dataset_meta"):
            del content["meta"][key]
        torch.save(content, file)
    final = read_checkpoint(finished / "tiny.pth")
    plan = (finished / "plan.json").read_text()
    for file in [*finished.glob("stage1*/**/*.pth"), *finished.glob("tiny.*")]:
        file.unlink()
    train_protocol(staged(images, finished), resume=True)
    again = read_checkpoint(finished / "tiny.pth")
    assert all(torch.equal(t, again.state_dict[n]) for n, t in final.state_dict.items())
    assert again.meta["config_hash"] == final.meta["config_hash"]
    assert json.loads(plan)["fingerprints"] == load_json(finished / "plan.json")["fingerprints"]
    assert DataRecord.from_meta(again.meta, "final") == OWN


@pytest.mark.parametrize(
    "preprocessor, channels",
    [
        (dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0]), "bgr"),
        (dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=True), "rgb"),
    ],
)
def test_a_parent_that_saw_other_numbers_is_named(images, tmp_path, preprocessor, channels):
    parent = read_like(tmp_path / "p.pth", OWN)
    cfg = one_stage(images, tmp_path, overrides=dict(iters=2))
    assert list(parents_trained_otherwise(stage_run(cfg), told(parent))) == []
    other = dict(preprocessor, num_classes=CLASSES)
    cfg = one_stage(images, tmp_path, overrides=dict(iters=2), data_preprocessor=other)
    (line,) = parents_trained_otherwise(stage_run(cfg), told(parent))
    assert str(parent.path) in line and OWN.preprocessing.label in line
    assert f"mean [1, 2, 3], std [4, 5, 6], {channels.upper()}" in line
    unknown = read_like(tmp_path / "q.pth", DataRecord())
    assert list(parents_trained_otherwise(stage_run(cfg), told(unknown))) == []


def told(checkpoint):
    return {str(checkpoint.path): DataRecord.from_meta(checkpoint.meta, checkpoint.path)}


def read_like(path, record):
    save_member(path, {"w": torch.ones(1)}, record.to_meta())
    return read_checkpoint(path)


def test_class_names_that_do_not_fit_the_model_are_left_out(images, tmp_path):
    cfg = one_stage(images, tmp_path, overrides=dict(epochs=1))
    run = stage_run(cfg)
    run.model.member.head.num_classes = CLASSES + 1
    run.model.member.data_preprocessor.num_classes = CLASSES + 1
    record = exported(run, cfg, tmp_path)
    assert record == DataRecord(OWN.preprocessing)


def exported(run, cfg, folder, poison=None):
    """Train with the hooks that write members; the record of the first."""
    run = copy.deepcopy(run)
    run.custom_hooks = [
        dict(type="mmrbdc.WallClockHook"),
        dict(type="mmrbdc.LedgerHook", price=[[0, [1] * len(run.model.seeds)]]),
        dict(
            type="mmrbdc.MemberExportHook",
            folder=str(folder / "stage"),
            weights="raw",
            meta=dict(family="deit", config_hash="abc", stage=0),
            parents=[[]] * len(run.model.seeds),
            parents_flops=[0.0] * len(run.model.seeds),
        ),
    ]
    train(run, poison)
    file = folder / "stage" / "members" / "0.pth"
    return DataRecord.from_meta(read_checkpoint(file).meta, file)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_member_that_is_no_number_is_no_parent(images, tmp_path, value):
    """And the sound members of the run are not written either: the stage is not half there."""
    cfg = one_stage(images, tmp_path, members=2, overrides=dict(iters=2))

    def poison(point, runner):
        if point == "iter" and runner.iter + 1 == 2:  # the last one: no loss shows it any more
            with torch.no_grad():
                runner.model.members[1].backbone.cls_token[0, 0, 3] = value

    with pytest.raises(WeightsError, match=r"member 1 of .*stage.*backbone\.cls_token has 1 "):
        exported(stage_run(cfg), cfg, tmp_path, poison)
    assert not list((tmp_path / "stage").rglob("*.pth"))
    assert not list(tmp_path.rglob("stage.json"))


OTHER = DataRecord(OWN.preprocessing.swapped(), OWN.classes)
NAMED = DataRecord(OWN.preprocessing, ("x", "y", "z"))


@pytest.mark.parametrize("other", [OTHER, NAMED, DataRecord(OTHER.preprocessing, NAMED.classes)])
def test_parents_that_differ_are_refused_or_the_child_records_neither(other):
    parents = {"a.pth": OWN, "b.pth": DataRecord(), "c.pth": other}
    with pytest.raises(GrowthError, match=r"a\.pth and c\.pth .* --allow-different-data"):
        record_of_child(parents, DataRecord(), different=False)
    child, remarks = record_of_child({"a.pth": OWN, "c.pth": other}, DataRecord(), different=True)
    assert not OWN.conflicts(child) and child != OWN and child != other
    assert any("a.pth and c.pth" in remark for remark in remarks)


def test_what_one_parent_does_not_say_is_not_known_of_the_child():
    child, remarks = record_of_child(
        {"a.pth": OWN, "b.pth": DataRecord(None, OWN.classes)}, DataRecord(), different=False
    )
    assert child == DataRecord(None, OWN.classes)
    assert len(remarks) == 1 and "not in b.pth" in remarks[0]
    assert record_of_child({"a": DataRecord(), "b": DataRecord()}, OWN, False)[1] == ()


def test_a_config_for_other_images_is_told():
    config = DataRecord(OTHER.preprocessing)
    child, remarks = record_of_child({"a": OWN, "b": OWN}, config, different=False)
    assert child == OWN and remarks[0].startswith("WARNING: the child's config")
