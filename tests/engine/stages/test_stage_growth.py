"""Children are grown once, into files, whatever happens to the run that trains them."""

import pytest

from mmrbdc.growth import grow
from mmrbdc.weights import WeightsError, read_checkpoint
from tests.engine.tiny_runs import differing, load_json, staged, stages_of, train_protocol

pytestmark = pytest.mark.numeric


@pytest.fixture
def done(images, tmp_path):
    cfg = staged(images, tmp_path / "tiny")
    train_protocol(cfg)
    return cfg


def last_stage(cfg):
    return stages_of(cfg)[1][-1]


def forget_training(setup):
    for name in ("stage.json", "cost.json", "junction.json", "members/0.pth"):
        (setup.folder / name).unlink()
    for path in setup.folder.glob("*.pth"):
        path.unlink()


def test_the_file_holds_what_the_operator_makes_of_the_parents(done):
    before, setup = stages_of(done)[1]
    parents = [read_checkpoint(before.member(i)) for i in before.members]
    child = read_checkpoint(setup.folder / "grown/0/child.pth")
    expected = grow([p.state_dict for p in parents], setup.architecture.layout()).state_dict
    assert not differing(child.state_dict, expected)
    record = load_json(setup.folder / "grown/0/growth.json")
    assert load_json(setup.folder / "grown/0/cost.json")["flops"] == 0
    assert [p["sha256"] for p in record["parents"]] == [p.sha256 for p in parents]
    member = read_checkpoint(setup.member(0))
    assert member.meta["parents"] == [p.sha256 for p in parents]
    assert (
        member.meta["train_flops"] == load_json(setup.folder.parent / "ledger.json")["total_flops"]
    )


def test_a_child_that_waits_is_not_grown_again(done):
    setup = last_stage(done)
    file = setup.folder / "grown/0/child.pth"
    before = (file.stat().st_mtime_ns, read_checkpoint(setup.member(0)).state_dict)
    forget_training(setup)
    train_protocol(done, resume=True)
    assert file.stat().st_mtime_ns == before[0]
    assert not differing(read_checkpoint(setup.member(0)).state_dict, before[1])


@pytest.mark.parametrize("lost", ["child.pth", "growth.json", "cost.json"])
def test_what_was_lost_is_grown_again_and_ends_the_same(done, lost):
    setup = last_stage(done)
    before = read_checkpoint(setup.member(0)).state_dict
    forget_training(setup)
    (setup.folder / "grown/0" / lost).unlink()
    train_protocol(done, resume=True)
    assert not differing(read_checkpoint(setup.member(0)).state_dict, before)


def test_a_parent_that_vanished_is_named(done):
    before, setup = stages_of(done)[1]
    forget_training(setup)
    (setup.folder / "grown/0/cost.json").unlink()
    # Its stage is finished as far as the runner sees; only the bytes are gone.
    path = before.member(1)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError, match=path.name):
        train_protocol(done, resume=True)
