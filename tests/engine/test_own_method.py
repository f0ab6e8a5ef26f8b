"""A method of somebody's own: other parents, and another operator at each junction."""

import pytest

from mmrbdc.growth import grow
from mmrbdc.methods import METHODS, Method, register_method
from mmrbdc.plan import PlanError
from mmrbdc.weights import read_checkpoint
from tests.engine.tiny_runs import differing, load_json, staged, stages_of, train_protocol

pytestmark = pytest.mark.numeric


class Fork(Method):
    """One member is trained, becomes the start of several, and these are coupled."""

    def operator(self, narrow, wide):
        return "keep" if narrow.width == wide.width else "block-diagonal"

    def parents(self, narrow, wide, child):
        if narrow.members < wide.members:
            return (0,)
        return super().parents(narrow, wide, child)

    def check_junction(self, i, narrow, wide):
        if narrow.members < wide.members and narrow.members != 1:
            raise PlanError(f"stages[{i}] has {narrow.members} members; a fork begins with one")


@pytest.fixture
def fork():
    register_method(Fork("fork", "one model trained, copied, trained apart and coupled"))
    yield
    METHODS.pop("fork")


def protocol(images, work_dir, first=1):
    return staged(
        images,
        work_dir,
        protocol=dict(method="fork", family="deit", reference_epochs=10),
        stages=[
            dict(members=first, width="1/2", iters=3),
            dict(members=2, width="1/2", iters=3),
            dict(members=1, width=1, iters=3),
        ],
    )


def test_one_parent_has_two_children_which_become_one(images, tmp_path, fork):
    cfg = protocol(images, tmp_path / "tiny")
    train_protocol(cfg)
    one, two, last = stages_of(cfg)[1]
    parent = read_checkpoint(one.member(0))
    for index in (0, 1):
        grown = read_checkpoint(two.folder / "grown" / f"{index}/child.pth").state_dict
        assert not differing(grown, parent.state_dict)
        assert read_checkpoint(two.member(index)).meta["parents"] == [parent.sha256]
    members = [read_checkpoint(two.member(i)).state_dict for i in (0, 1)]
    assert differing(*members)  # each saw drop-path of its own
    coupled = grow(members, last.architecture.layout()).state_dict
    assert not differing(read_checkpoint(last.folder / "grown/0/child.pth").state_dict, coupled)
    growths = [
        [load_json(path)["growth"]["operator"] for path in s.folder.glob("grown/*/growth.json")]
        for s in (two, last)
    ]
    assert growths == [["keep", "keep"], ["block-diagonal"]]
    scores = load_json(two.folder / "junction.json")["children"]
    assert [len(child["parents"]) for child in scores] == [1, 1]
    assert scores[0]["child"] == scores[0]["parents"][0]
    plan, ledger = (load_json(tmp_path / "tiny" / f"{n}.json") for n in ("plan", "ledger"))
    assert ledger["total_flops"] == plan["total_flops"]


def test_its_own_rule_is_asked(images, tmp_path, fork):
    with pytest.raises(PlanError, match="3 members; a fork begins with one"):
        cfg = protocol(images, tmp_path / "tiny", first=3)
        cfg.stages[1].members = 4
        train_protocol(cfg)
