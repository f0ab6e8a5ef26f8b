"""What a work dir holds decides what runs: files lost, damaged, or of another version."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mmrbdc.engine.steps.grow import GrowStep
from mmrbdc.plan import PlanError
from mmrbdc.registry import RUNNERS
from mmrbdc.runs.pretraining import PretrainingRun
from mmrbdc.weights import WeightsError, read_checkpoint
from tests.engine.tiny_runs import differing, load_json, staged, stages_of, train_protocol


@pytest.fixture
def done(images, tmp_path):
    cfg = staged(images, tmp_path / "tiny")
    cfg.stages = [dict(members=2, width="1/2", iters=1), dict(members=1, width=1, iters=1)]
    train_protocol(cfg)
    return cfg


def test_inputs_that_vanished_are_named(done, monkeypatch):
    setup = stages_of(done)[1][1]
    for name in ("members/0.pth", "cost.json", "epoch_1.pth", "junction.json"):
        (setup.folder / name).unlink()
    monkeypatch.setattr(GrowStep, "done", lambda self: True)  # as when it vanishes after the look
    (setup.folder / "grown/0/child.pth").unlink()
    with pytest.raises(PlanError, match=r"grown/0/child.pth is not there.*--resume"):
        train_protocol(done, resume=True)


def test_a_work_dir_of_an_earlier_version_is_refused_and_left_alone(done):
    folder = Path(done.work_dir)
    plan = folder / "plan.json"
    content = load_json(plan)
    del content["format"]
    plan.write_text(json.dumps(content))
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.suffix in (".pth", ".json")}
    with pytest.raises(PlanError, match="another version of mmrbdc: finish it with that one, or"):
        train_protocol(done, resume=True)
    assert before == {
        p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.suffix in (".pth", ".json")
    }
    (folder / "test.json").write_text('{"top1": 50.0, "split": "test"}')
    assert PretrainingRun.read(folder).top1 == 50


@pytest.mark.parametrize("wrong", ["{", '{"step": "dance"}', "[]"])
def test_a_damaged_cost_is_named(done, wrong):
    setup = stages_of(done)[1][0]
    (setup.folder / "cost.json").write_text(wrong)
    with pytest.raises(ValueError, match="cost.json") as error:
        train_protocol(done, resume=True)
    assert not isinstance(error.value, WeightsError)


def test_a_stage_that_a_version_before_left_is_refused(done):
    """Its members' costs are not known; a plan that is gone does not hide that."""
    for path in [Path(done.work_dir) / "plan.json", *Path(done.work_dir).rglob("cost.json")]:
        path.unlink()
    with pytest.raises(PlanError, match="another version of mmrbdc"):
        train_protocol(done, resume=True)


def test_a_checkpoint_that_does_not_say_what_was_spent_is_refused(images, tmp_path):
    cfg = staged(images, tmp_path / "tiny")
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    train_protocol(cfg)
    folder = stages_of(cfg)[1][0].folder
    shutil.rmtree(folder / "members")
    (folder / "cost.json").unlink()
    first, *later = sorted(folder.glob("epoch_*.pth"))
    for path in later:
        path.unlink()
    content = torch.load(first, weights_only=True)
    del content["message_hub"]["runtime_info"]["ledger_flops"]
    torch.save(content, first)
    with pytest.raises(ValueError, match="does not say what its members spent"):
        train_protocol(cfg, resume=True)


def test_a_damaged_child_or_one_of_another_operator_is_grown_again(done):
    setup = stages_of(done)[1][1]
    folder = setup.folder / "grown/0"
    whole = read_checkpoint(folder / "child.pth").state_dict
    record = load_json(folder / "growth.json")
    record["growth"]["operator"] = "averaging"
    for damage in (
        lambda: (folder / "child.pth").write_bytes((folder / "child.pth").read_bytes()[:500]),
        lambda: (folder / "growth.json").write_text(json.dumps(record)),
    ):
        for name in ("members/0.pth", "cost.json", "epoch_1.pth", "junction.json"):
            (setup.folder / name).unlink()
        damage()
        train_protocol(done, resume=True)
        assert not differing(read_checkpoint(folder / "child.pth").state_dict, whole)
        assert load_json(folder / "growth.json")["growth"]["operator"] == "block-diagonal"


@pytest.mark.parametrize("name", ["model.py", "ledger.json", "tiny.json", "tiny.safetensors"])
def test_what_is_missing_or_damaged_of_the_final_model_comes_again(done, name):
    path = Path(done.work_dir) / name
    before = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_text("{")):
        if name.endswith((".safetensors", ".py")) and damage is not path.unlink:
            continue
        damage()
        train_protocol(done)
        assert path.read_bytes() == before


def test_curves_of_members_apart_replace_one_that_was_cut_short(images, tmp_path):
    cfg = staged(images, tmp_path / "tiny")
    for members in ([0], [1]):
        RUNNERS.build(cfg).train(0, members)
    folder = stages_of(cfg)[1][0].folder
    stale = load_json(folder / "only_0/curve.json")[:1]
    (folder / "curve.json").write_text(json.dumps(stale))
    train_protocol(cfg, resume=True)
    curve = load_json(folder / "curve.json")
    assert len(curve) == len(load_json(folder / "only_0/curve.json")) > len(stale)
    assert len(curve[0]["members"]) == 2
