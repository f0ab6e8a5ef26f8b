"""A method of somebody's own: other parents, and another operator at each junction."""

import pytest

from mmrbdc.growth import GrowthError, grow
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


class Assemble(Method):
    """Shallow members are trained apart and become one model, behind each other in depth."""

    def operator(self, narrow, wide):
        return "concatenation"

    def check_junction(self, i, narrow, wide):
        if narrow.depth * narrow.members != wide.depth:
            raise PlanError(f"stages[{i}] has members whose depths do not sum")


@pytest.fixture
def assemble():
    register_method(Assemble("assemble", "shallow models one behind the other"))
    yield
    METHODS.pop("assemble")


def assembly(images, work_dir, **first):
    return staged(
        images,
        work_dir,
        protocol=dict(method="assemble", family="deit", reference_epochs=10),
        stages=[
            dict(members=2, width=1, depth="1/2", iters=3) | first,
            dict(members=1, width=1, iters=3),
        ],
    )


@pytest.mark.parametrize("first", [{}, dict(img_size=8)])
def test_parents_behind_each_other(images, tmp_path, assemble, first):
    cfg = assembly(images, tmp_path / "tiny", **first)
    train_protocol(cfg)
    shallow, last = stages_of(cfg)[1]
    one, two = (read_checkpoint(shallow.member(i)).state_dict for i in (0, 1))
    child = read_checkpoint(last.folder / "grown/0/child.pth").state_dict
    for name, tensor in child.items():
        source = one
        if name.startswith("backbone.layers.1."):
            source, name = two, name.replace("layers.1.", "layers.0.", 1)
        elif name.startswith(("backbone.ln1.", "head.")):
            source = two
        if not (first and name == "backbone.pos_embed"):  # resized before
            assert tensor.equal(source[name])
    plan, ledger = (load_json(tmp_path / "tiny" / f"{n}.json") for n in ("plan", "ledger"))
    assert ledger["total_flops"] == plan["total_flops"]


def test_members_that_are_not_deep_enough(images, tmp_path, assemble, monkeypatch):
    monkeypatch.setattr(Assemble, "check_junction", lambda *_: None)
    cfg = assembly(images, tmp_path / "tiny", depth=1)
    with pytest.raises(GrowthError, match="2 \\+ 2 = 4 blocks and the child has 2"):
        train_protocol(cfg)
    assert not list(tmp_path.rglob("*.pth"))
