"""Members trained as jobs of their own, and collected."""

import copy
from pathlib import Path

import pytest

from mmrbdc.engine.process.lock import _leave_to_parent as end_of_process
from mmrbdc.plan import PlanError
from mmrbdc.registry import RUNNERS
from mmrbdc.weights import read_checkpoint
from tests.engine.tiny_runs import differing, load_json, staged, train_protocol

pytestmark = pytest.mark.numeric


def protocol(images, work_dir):
    return staged(images, work_dir, custom_hooks=[dict(type="EMAHook", momentum=0.02)])


def part(cfg, stage, members=None):
    """A job of its own; its process would end, and with it its locks."""
    cfg = copy.deepcopy(cfg)
    RUNNERS.build(cfg).train(stage, members)
    end_of_process()


def state(folder, name):
    return read_checkpoint(Path(folder) / name).state_dict


@pytest.fixture(scope="module")
def together(images, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("together") / "tiny"
    train_protocol(protocol(images, work_dir))
    return work_dir


@pytest.fixture(scope="module")
def apart(images, tmp_path_factory):
    """Members 1 and 0 by themselves, then a run that finds them."""
    work_dir = tmp_path_factory.mktemp("apart") / "tiny"
    cfg = protocol(images, work_dir)
    part(cfg, 0, [1])
    part(cfg, 0, [0])
    train_protocol(cfg, resume=True)
    return work_dir


STAGES = ["stage0_2x8", "stage1_1x16"]


@pytest.mark.parametrize(
    "name", [f"{STAGES[0]}/members/0.pth", f"{STAGES[0]}/members/1.pth", "tiny.pth"]
)
def test_apart_and_together_give_the_same_weights(together, apart, name):
    assert not differing(state(together, name), state(apart, name))


def test_what_is_finished_is_not_trained_again(apart):
    stage = apart / STAGES[0]
    assert (stage / "only_0" / "stage.json").is_file() and not (stage / "stage.json").exists()
    assert (apart / STAGES[1] / "junction.json").is_file()


def test_ledgers_agree(together, apart):
    one, other = (load_json(folder / "ledger.json") for folder in (together, apart))
    assert one["total_flops"] == pytest.approx(other["total_flops"])


def test_the_curves_of_the_members_become_the_stages(together, apart):
    ours = load_json(apart / STAGES[0] / "curve.json")
    whole = load_json(together / STAGES[0] / "curve.json")
    for point, expected in zip(ours, whole, strict=True):
        assert point["members"] == pytest.approx(expected["members"])
        assert point["flops"] == pytest.approx(expected["flops"])
        assert point["iter"] == expected["iter"]
        assert point["top1"] == pytest.approx(sum(point["members"]) / 2)


def test_a_finished_member_is_left_alone(apart, images):
    before = (apart / STAGES[0] / "members" / "1.pth").stat().st_mtime_ns
    part(protocol(images, apart), 0, [1])
    assert (apart / STAGES[0] / "members" / "1.pth").stat().st_mtime_ns == before


def test_a_stage_waits_for_the_one_before_it(images, tmp_path):
    cfg = protocol(images, tmp_path / "tiny")
    part(cfg, 0, [1])
    with pytest.raises(PlanError, match=r"stage0_2x8 is not finished, missing members: 0"):
        part(cfg, 1)
    part(cfg, 0)
    assert (tmp_path / "tiny" / STAGES[0] / "only_0" / "stage.json").is_file()
    part(cfg, 1)
    assert (tmp_path / "tiny" / STAGES[1] / "members" / "0.pth").is_file()
    assert not (tmp_path / "tiny" / "tiny.pth").exists()


@pytest.mark.parametrize(
    "stage, members, message",
    [
        (2, None, "--stage 2: the protocol has stages 0 to 1"),
        (-1, None, "--stage -1"),
        (0, [2], "--member 2: stage0_2x8 has members 0 to 1"),
        (None, [0], "--member needs --stage"),
    ],
)
def test_what_is_not_there_is_refused(images, tmp_path, stage, members, message):
    with pytest.raises(PlanError, match=message):
        part(protocol(images, tmp_path / "tiny"), stage, members)
