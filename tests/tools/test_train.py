"""tools/train.py as a user runs it: what it leaves, what it says, and what it never does twice."""

import json
import re
import runpy
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmrbdc.families import architecture_from_config
from mmrbdc.weights import read_checkpoint

ROOT = Path(__file__).parents[2]
NAME = "deit-micro_2step_digits"
STAGES = ["stage0_4x24", "stage1_2x48", "stage2_1x96"]

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(ROOT / "tools" / "train.py"))["main"]


def record(path):
    return json.loads(path.read_text())


def weights(path):
    return read_checkpoint(path).state_dict


def differing(state, other):
    assert state.keys() == other.keys()
    return [name for name in state if not torch.equal(state[name], other[name])]


def test_the_final_model_says_what_it_is(finished):
    final = read_checkpoint(finished / f"{NAME}.pth")
    card = record(finished / f"{NAME}.json")
    ledger = record(finished / "ledger.json")
    assert card["name"] == NAME and card["method"] == "rbdc" and card["family"] == "deit"
    assert card["train_flops"] == ledger["total_flops"] == final.meta["train_flops"]
    assert card["sha256"] == final.sha256 and card["seed"] == 0 and card["wall_s"] > 0
    assert [stage["members"] for stage in card["stages"]] == [4, 2, 1]
    parents = [finished / STAGES[1] / "members" / f"{i}.pth" for i in range(2)]
    assert card["parents"] == [read_checkpoint(path).sha256 for path in parents]
    assert {"mmrbdc", "torch", "mmengine", "mmpretrain"} <= card["versions"].keys()
    curve = record(finished / STAGES[2] / "curve.json")
    assert card["accuracy"] == {"val/top1": curve[-1]["top1"]}


def test_accuracy_is_drawn_over_the_flops_of_the_whole_protocol(finished):
    flops = [p["flops"] for stage in STAGES for p in record(finished / stage / "curve.json")]
    assert flops == sorted(flops) and len(set(flops)) == len(flops) == 3 + 2 + 2
    assert flops[-1] == pytest.approx(record(finished / "ledger.json")["total_flops"])
    spent = 0
    for stage, entry in zip(STAGES, record(finished / "ledger.json")["stages"], strict=True):
        if stage != STAGES[0]:
            assert record(finished / stage / "junction.json")["flops"] == spent
        spent += entry["flops"]


def test_junctions_score_parents_ensemble_and_child(finished):
    first, second = (record(finished / stage / "junction.json")["children"] for stage in STAGES[1:])
    assert [len(child["parents"]) for child in first] == [2, 2] and len(second) == 1
    validated = [point["members"] for point in record(finished / STAGES[0] / "curve.json")]
    assert first[0]["parents"] + first[1]["parents"] == validated[-1]
    for child in first + second:
        assert 0 <= child["ensemble"] <= 100 and 0 <= child["child"] <= 100


def test_a_person_can_follow_it(finished):
    log = (finished / "protocol.log").read_text()
    for number, stage in enumerate(STAGES, start=1):
        assert f"stage {number} of 3: {stage}" in log
    assert "junction to stage1_2x48, child 1: parents" in log and "wrote " in log
    lines = next((finished / STAGES[1]).glob("2*/*.log")).read_text()
    assert re.search(
        r"stage 2 of 3: 50% done, \S+ left \| protocol: \d+% of the FLOPs, \S+ left", lines
    )
    assert "TFLOPs: " in lines


def test_a_finished_run_is_not_trained_again(main, tiny, finished, monkeypatch):
    monkeypatch.chdir(tiny.place)
    before = {path: path.stat().st_mtime_ns for path in finished.glob("stage*/**/*")}
    content = (finished / f"{NAME}.pth").read_bytes()
    main(tiny.arguments(finished))
    assert {path: path.stat().st_mtime_ns for path in finished.glob("stage*/**/*")} == before
    assert (finished / f"{NAME}.pth").read_bytes() == content


def test_a_member_that_was_removed_is_trained_alone_to_the_same_weights(
    main, tiny, finished, tmp_path, monkeypatch
):
    """And nothing else is trained: the other members' files are not touched."""
    monkeypatch.chdir(tiny.place)
    work_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    members = work_dir / STAGES[0] / "members"
    (members / "2.pth").unlink()
    before = {path: path.stat().st_mtime_ns for path in work_dir.rglob("members/*.pth")}
    main(tiny.arguments(work_dir, "--resume"))
    assert before.items() <= {p: p.stat().st_mtime_ns for p in before}.items()
    assert (
        differing(weights(members / "2.pth"), weights(finished / STAGES[0] / "members/2.pth")) == []
    )


def test_a_stage_runs_by_hand(main, tiny, finished, tmp_path, monkeypatch):
    """Its config.py is an ordinary one: the same weights come of it."""
    monkeypatch.chdir(tiny.place)
    work_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    config = work_dir / STAGES[1] / "config.py"
    config.write_text(config.read_text().replace(str(finished), str(work_dir)))
    main([str(config), "--work-dir", str(tmp_path / "by_hand")])
    for member in ("members/0.pth", "members/1.pth"):
        again, first = (weights(p / member) for p in (tmp_path / "by_hand", finished / STAGES[1]))
        assert differing(again, first) == []


def test_another_seed_gives_another_model(main, tiny, finished, tmp_path, monkeypatch):
    """The option takes, and the comparisons of weights above can fail. Nothing is validated."""
    monkeypatch.chdir(tiny.place)
    main(tiny.arguments(tmp_path / "run", "--seed", "1", "--no-validate"))
    final, other = (weights(path / f"{NAME}.pth") for path in (tmp_path / "run", finished))
    assert len(differing(final, other)) == len(final)
    card = record(tmp_path / "run" / f"{NAME}.json")
    assert card["seed"] == 1 and card["accuracy"] == {"val/top1": None}
    assert not (tmp_path / "run" / STAGES[0] / "curve.json").exists()


def test_options_reach_into_stages_and_win(main, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.place)
    config = tmp_path / "staged.py"
    config.write_text(
        f"_base_ = '{tiny.config}'\n"
        "stages = [dict(members=2, width=0.5, epochs=1, train_dataloader=dict(batch_size=4),"
        " optim_wrapper=dict(optimizer=dict(lr=1e-3))), dict(members=1, width=1, epochs=1)]\n"
    )
    main(tiny.arguments(tmp_path / "run", "--amp", config=config, **{"stages.2.epochs": None}))
    stage = Config.fromfile(tmp_path / "run" / "stage0_2x48" / "config.py")
    assert stage.train_dataloader.batch_size == 8
    assert stage.optim_wrapper.optimizer.lr == 1e-3
    assert stage.optim_wrapper.autocast_dtype == "bfloat16"
    assert stage.train_cfg.max_iters == 12
    final = read_checkpoint(tmp_path / "run" / "staged.pth")
    target = architecture_from_config(Config.fromfile(tiny.config).model)
    assert final.meta["architecture"] == {**target.to_dict(), "depth": 2}
