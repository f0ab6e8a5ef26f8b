"""Members leave their stage as plain files that say where they come from."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmrbdc.engine import launch
from mmrbdc.engine.evaluation.scoring import member_scores, score
from mmrbdc.runs.work_dir import is_finished, member_file
from mmrbdc.weights import WeightsError, read_checkpoint
from tests.engine.tiny_runs import (
    differing,
    load_json,
    one_stage,
    stage_run,
    staged,
    stages_of,
    train,
    train_protocol,
)

META = dict(
    name="tiny",
    method="rbdc",
    family="deit",
    stage=0,
    config_hash="abc",
    architecture=dict(family="deit"),
)


def exported(images, folder, weights="raw", indices=(0, 1), hooks=(), parents=None):
    """Run two epochs with the hooks of a protocol; the runner."""
    cfg = one_stage(images, folder, members=4, overrides=dict(epochs=2))
    flops = stages_of(cfg)[1][0].row.train_flops_per_sample
    run = stage_run(cfg, indices)
    run.custom_hooks = [
        *hooks,
        dict(type="mmrbdc.WallClockHook"),
        dict(type="mmrbdc.LedgerHook", price=[[0, [flops] * len(indices)]]),
        dict(
            type="mmrbdc.MemberExportHook",
            folder=str(folder / "stage"),
            weights=weights,
            meta=META,
            parents=parents or [[]] * len(indices),
            parents_flops=[100.0 * i for i in range(len(indices))],
        ),
    ]
    return train(run)


@pytest.fixture(scope="module")
def runner(images, tmp_path_factory):
    """Of a run of members 0 and 3, with their average kept and the raw weights exported."""
    folder = tmp_path_factory.mktemp("members")
    hooks = [dict(type="EMAHook", momentum=0.2)]
    return exported(images, folder, "raw", (0, 3), hooks, parents=[["p", "q"], ["r", "s"]])


def stage_of(runner):
    return Path(runner.work_dir).parent / "stage"


@pytest.mark.parametrize("position, index", [(0, 0), (1, 3)])
def test_a_file_holds_the_member_under_a_plain_classifiers_names(runner, position, index):
    content = torch.load(member_file(stage_of(runner), index), weights_only=True)
    assert content.keys() == {"state_dict", "meta"}
    assert not differing(content["state_dict"], runner.model.member_state_dict(position))
    assert "backbone.pos_embed" in content["state_dict"]


def test_a_file_says_where_it_comes_from(runner):
    meta = torch.load(member_file(stage_of(runner), 3), weights_only=True)["meta"]
    summary = load_json(Path(runner.work_dir) / "stage.json")
    assert {key: meta[key] for key in META} == META
    assert (meta["member"], meta["weights"], meta["parents"]) == (3, "raw", ["r", "s"])
    assert meta["seed"] == runner.model.seeds[1]
    assert meta["train_flops"] == 100.0 + summary["flops"] / 2
    assert meta["accuracy"] == {"val/top1": summary["member_top1"][1]}
    assert meta["versions"].keys() == {"mmrbdc", "torch", "mmengine", "mmpretrain"}


def test_the_stage_is_summed_up(runner):
    summary = load_json(Path(runner.work_dir) / "stage.json")
    curve = load_json(Path(runner.work_dir) / "curve.json")
    assert (summary["members"], summary["samples"], summary["iters"]) == ([0, 3], 40, 6)
    assert summary["config_hash"] == "abc" and summary["wall_s"] > 0
    assert summary["flops"] == curve[-1]["flops"]


def test_accuracies_belong_to_the_weights_that_are_written(images, tmp_path, runner):
    """Under an EMAHook validation scores the average; the files of this run hold raw weights."""
    summary = load_json(Path(runner.work_dir) / "stage.json")
    metrics = score(runner.model, runner.cfg)
    assert summary["top1"] == metrics["accuracy/top1"]
    assert summary["member_top1"] == member_scores(metrics, runner.model)

    plain = exported(images, tmp_path, indices=(0, 3))  # no average: what validation found last
    summary = load_json(Path(plain.work_dir) / "stage.json")
    curve = load_json(Path(plain.work_dir) / "curve.json")
    assert (summary["top1"], summary["member_top1"]) == (curve[-1]["top1"], curve[-1]["members"])


def test_averages_are_exported_where_they_are_asked_for(images, tmp_path, runner):
    hooks = [dict(type="EMAHook", momentum=0.2)]
    averaged = exported(images, tmp_path, "ema", (0, 3), hooks)
    content = torch.load(member_file(stage_of(averaged), 3), weights_only=True)
    assert content["meta"]["weights"] == "ema"
    assert not differing(averaged.model.state_dict(), runner.model.state_dict())
    assert differing(content["state_dict"], averaged.model.member_state_dict(1))
    checkpoint = torch.load(Path(averaged.work_dir) / "epoch_2.pth", weights_only=True)
    written = {
        name[len("members.1.") :]: value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith("members.1.")
    }
    assert not differing(content["state_dict"], written)


def test_averages_without_the_hook_are_refused(images, tmp_path):
    with pytest.raises(WeightsError, match="no EMAHook runs"):
        exported(images, tmp_path, "ema")


def test_a_member_is_finished_under_its_own_configuration_only(runner):
    folder = stage_of(runner)
    assert is_finished(folder, 3, "abc")
    assert not is_finished(folder, 1, "abc")
    with pytest.raises(WeightsError, match="hash abc, now def"):
        is_finished(folder, 3, "def")


def test_a_damaged_member_is_an_error_and_not_a_missing_one(runner, tmp_path):
    path = member_file(tmp_path, 0)
    path.parent.mkdir()
    content = member_file(stage_of(runner), 0).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="truncated"):
        is_finished(tmp_path, 0, "abc")


def test_a_stages_config_run_by_hand_leaves_the_protocols_members_alone(images, tmp_path):
    cfg = staged(images, tmp_path / "tiny")
    train_protocol(cfg)
    member = tmp_path / "tiny" / "stage0_2x8" / "members" / "0.pth"
    before = member.read_bytes()
    by_hand = Config.fromfile(str(tmp_path / "tiny" / "stage0_2x8" / "config.py"))
    by_hand.work_dir, by_hand.experiment_name = str(tmp_path / "hand"), "by-hand"
    launch.train(by_hand)
    assert member.read_bytes() == before
    assert read_checkpoint(tmp_path / "hand" / "members" / "0.pth").meta["config_hash"] is None
