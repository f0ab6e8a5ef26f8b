"""A method whose steps depend on what it finds, and methods that ask for what no one can run."""

import shutil
from pathlib import Path

import pytest

from mmrbdc.methods import METHODS, Method, register_method
from mmrbdc.plan import Grow, Member, PlanError, Publish, Score, Train, plan_lines
from mmrbdc.registry import RUNNERS
from mmrbdc.runs.pretraining import PretrainingRun
from mmrbdc.weights import read_checkpoint
from tests.engine.tiny_runs import load_json, staged, stages_of, train_protocol


class Search(Method):
    """Trains one model; trains it on in a second stage unless it is good enough by then; couples
    nothing. ``enough`` stands for what a search would compare with.
    """

    enough = 0.0

    def operator(self, narrow, wide):
        return "keep"

    def check_junction(self, i, narrow, wide):
        pass

    def may_skip(self, stages):
        return frozenset({1})

    def steps(self, stages):
        return (*super().steps(stages)[:-1], *self._last(0), Publish(2))

    def next_step(self, stages, outcomes):
        first = Train(0, (0,))
        if first not in outcomes:
            return first
        skip = outcomes[first].top1[0] >= self.enough
        middle = () if skip else tuple(s for s in super().steps(stages) if s.stage == 1)
        steps = (*middle, *self._last(0 if skip else 1), Publish(2))
        return next((step for step in steps if step not in outcomes), None)

    @staticmethod
    def _last(parent):
        member = Member(parent, 0)
        return (Grow(2, 0, (member,), "keep"), Score(2, ((member,),)), Train(2, (0,)))


@pytest.fixture
def search():
    register_method(Search("search", "a search"))
    yield Search
    METHODS.pop("search")


def protocol(images, work_dir):
    stage = dict(members=1, width=1, iters=3)
    method = dict(method="search", family="deit", reference_epochs=10)
    return staged(images, work_dir, protocol=method, stages=[stage, stage, stage])


@pytest.mark.parametrize("enough, stages", [(0.0, [0, 2]), (101.0, [0, 1, 2])])
def test_what_it_finds_decides(images, tmp_path, search, monkeypatch, enough, stages):
    monkeypatch.setattr(search, "enough", enough)
    cfg = protocol(images, tmp_path / "tiny")
    train_protocol(cfg)
    plan, setups = stages_of(cfg)
    assert [s.index for s in setups if s.member(0).is_file()] == stages
    ledger = load_json(tmp_path / "tiny/ledger.json")
    assert [entry["name"] for entry in ledger["stages"]] == [setups[i].row.name for i in stages]
    spent = sum(plan.rows[i].flops for i in stages)
    assert ledger["total_flops"] == spent
    assert plan.least_flops == plan.rows[0].flops + plan.rows[2].flops < plan.total_flops
    assert any("may leave out stage1_1x16: between" in line for line in plan_lines(plan))
    parent = read_checkpoint(setups[stages[-2]].member(0)).sha256
    assert read_checkpoint(setups[2].member(0)).meta["parents"] == [parent]
    (tmp_path / "tiny/test.json").write_text('{"top1": 50.0, "split": "test"}')
    run = PretrainingRun.read(tmp_path / "tiny")
    assert [stage.name for stage in run.stages] == [setups[i].row.name for i in stages]
    assert run.train_flops == spent


def test_a_finished_one_is_started_again_and_left_alone(images, tmp_path, search):
    cfg = protocol(images, tmp_path / "tiny")
    train_protocol(cfg)
    before = (tmp_path / "tiny/tiny.pth").stat().st_mtime_ns
    train_protocol(cfg)  # which skipped a stage, and is no unfinished run for that
    assert (tmp_path / "tiny/tiny.pth").stat().st_mtime_ns == before
    RUNNERS.build(cfg).train(2)


def test_single_members_cannot_tell_it_enough(images, tmp_path, search):
    with pytest.raises(PlanError, match="--member: method 'search' decides by what a whole stage"):
        RUNNERS.build(protocol(images, tmp_path / "tiny")).train(0, [0])


def test_an_outcome_says_what_was_spent_and_scored(images, tmp_path, search, monkeypatch):
    seen = {}

    def noted(self, stages, outcomes, own=Search.next_step):
        seen.update(outcomes)
        return own(self, stages, outcomes)

    monkeypatch.setattr(search, "next_step", noted)
    cfg = protocol(images, tmp_path / "tiny")
    train_protocol(cfg)
    plan = stages_of(cfg)[0]
    first = seen[Train(0, (0,))]
    assert first.flops == plan.rows[0].flops and 0 <= first.top1[0] <= 100
    (scored,) = (outcome for step, outcome in seen.items() if isinstance(step, Score))
    assert scored.flops == 0 and 0 <= scored.top1[0] <= 100


def test_after_a_kill_it_reads_what_it_found(images, tmp_path, search, monkeypatch):
    """The first stage's accuracy is read, not measured again, and decides the same."""
    cfg = protocol(images, tmp_path / "tiny")
    train_protocol(cfg)
    first, middle, last = stages_of(cfg)[1]
    times = first.member(0).stat().st_mtime_ns
    for path in (last.folder, Path(cfg.work_dir) / "tiny.pth"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    train_protocol(cfg, resume=True)
    assert first.member(0).stat().st_mtime_ns == times and not middle.folder.exists()
    assert last.member(0).is_file() and (Path(cfg.work_dir) / "tiny.pth").is_file()


class Wrong(Method):
    """Asks for ``ask`` first."""

    ask: object = None

    def operator(self, narrow, wide):
        return "block-diagonal"

    def check_junction(self, i, narrow, wide):
        pass

    def next_step(self, stages, outcomes):
        return self.ask if self.ask not in outcomes or self.label else None


@pytest.mark.parametrize(
    "ask, message",
    [
        ("train", "asks for train, which is no step: known are Grow, Score, Train, Publish"),
        (Train(5, (0,)), r"asks for Train\(.*the protocol has stages 0 to 1"),
        (Train(0, (2,)), r"stages\[0\] has members 0 to 1"),
        (Grow(1, 0, (Member(0, 1),), "keep"), r"trains member 1 of stages\[0\]"),
        (Grow(1, 0, (), "keep"), "whose parents are not all of one earlier stage"),
        (Grow(0, 0, (Member(0, 1),), "keep"), "whose parents are not all of one earlier stage"),
        (Train(1, (0,)), r"no step before it grows member 0 of stages\[1\]"),
        (Score(1, ((),)), "without parents for every child"),
        (Score(1, ((Member(0, 0),),) * 2), "other children than the stage has members"),
        (Score(1, ((Member(0, 0),),)), r"trains member 0 of stages\[0\]"),
        (Publish(1), r"no step before it trains member 0 of stages\[1\]; mend its next_step"),
    ],
)
def test_a_step_that_no_one_can_run(images, tmp_path, monkeypatch, ask, message):
    register_method(Wrong("wrong", "wrong"))
    monkeypatch.setattr(Wrong, "ask", ask)
    try:
        cfg = staged(images, tmp_path / "tiny", protocol=dict(method="wrong", family="deit"))
        with pytest.raises(PlanError, match=message):
            train_protocol(cfg)
    finally:
        METHODS.pop("wrong")
    assert not list(tmp_path.rglob("*.pth"))


def test_the_same_step_twice(images, tmp_path, monkeypatch):
    register_method(Wrong("wrong", "wrong", label="again and again"))
    monkeypatch.setattr(Wrong, "ask", Train(0, (0, 1)))
    try:
        cfg = staged(images, tmp_path / "tiny", protocol=dict(method="wrong", family="deit"))
        cfg.stages = [dict(members=2, width="1/2", iters=1), dict(members=1, width=1, iters=1)]
        with pytest.raises(PlanError, match="which is finished; mend its next_step"):
            train_protocol(cfg)
    finally:
        METHODS.pop("wrong")
