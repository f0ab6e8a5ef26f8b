"""AutoProg from its config to its final model: what is searched, grown, charged, and resumed."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmrbdc.engine.configs.stage_view import stage_config
from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.engine.search import judge
from mmrbdc.engine.steps.protocol_run import ProtocolRun
from mmrbdc.growth.parents.depth import block_sources, kept_blocks, new_blocks
from mmrbdc.methods import parse_protocol, settled
from mmrbdc.plan import Outcome, PlanError, Train, make_plan, plan_lines
from mmrbdc.registry import MODELS, RUNNERS
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.runs.pretraining import PretrainingRun
from mmrbdc.search import SubNet, choose
from mmrbdc.weights import load_strict, read_checkpoint
from tests.engine.tiny_autoprog import SEARCHED, TRAINED, protocol, run
from tests.engine.tiny_runs import differing, load_json, stages_of, train_protocol

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module")
def done(images, tmp_path_factory):
    return run(images, tmp_path_factory.mktemp("done") / "tiny")


def folder(cfg, name):
    return Path(cfg.work_dir) / name


def plan_of(cfg):
    return load_json(folder(cfg, "plan.json"))


def weights(cfg, *parts):
    return read_checkpoint(folder(cfg, Path(*parts))).state_dict


def block(state, number):
    prefix = f"backbone.layers.{number}."
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}


def test_the_budget_is_spent_and_the_ledger_agrees(done):
    plan, ledger = plan_of(done), load_json(folder(done, "ledger.json"))
    assert ledger["total_flops"] == plan["total_flops"]
    limit = plan["reference"]["flops"]
    iteration = 8 * plan["reference"]["train_flops_per_sample"]
    assert limit - iteration < ledger["total_flops"] <= limit
    spent = {stage["name"]: stage["flops"] for stage in ledger["stages"]}
    assert spent == {row["name"]: row["flops"] for row in plan["stages"] if not row.get("skipped")}
    first = plan["stages"][0]
    assert spent[SEARCHED[0]] > first["judging_flops"] > 0


def test_what_a_search_charges_is_what_it_drew(done):
    """Twin: of another seed, whose draws are others."""
    plan = plan_of(done)
    for seed in (done.randomness.seed, 123):
        cfg = copy.deepcopy(done)
        cfg.randomness.seed = seed
        found = stages_of(cfg)[0].rows[0]
        assert (found.flops == plan["stages"][0]["flops"]) == (seed == done.randomness.seed)


def test_a_search_says_what_it_tried_and_chose(done):
    for k, name in enumerate(SEARCHED):
        row = plan_of(done)["stages"][2 * k]
        found = load_json(folder(done, name) / "search.json")
        tried = [SubNet(**one) for one in found["candidates"]]
        assert [[one.depth, one.img_size] for one in tried] == row["searching"]
        assert found["costs"] == row["candidate_flops"]
        choice = choose(tried, found["evaluations"], found["costs"])
        assert found["chosen"] == dict(depth=choice.chosen.depth, img_size=choice.chosen.img_size)
        after = plan_of(done)["stages"][2 * k + 1]
        assert after["img_size"] == [choice.chosen.img_size] * 2
        assert after["label"].startswith(f"deit {choice.chosen.depth}x16")


def test_a_sub_net_is_taken_out_as_it_was_trained_and_judged(done):
    """Weights and average, of the blocks that ran; the twin takes the first blocks."""
    found = load_json(folder(done, SEARCHED[0]) / "search.json")["chosen"]
    kept = kept_blocks(2, 4, found["depth"])
    for child, parent in (("child.pth", "members"), ("average.pth", "average")):
        whole = weights(done, SEARCHED[0], parent, "0.pth")
        own = weights(done, TRAINED[0], "grown/0", child)
        for place, source in enumerate(kept):
            assert not differing(block(own, place), block(whole, source))
        assert len([n for n in own if n.endswith("ln1.weight")]) == found["depth"] + 1


@pytest.mark.parametrize("net", [SubNet(2, 8), SubNet(3, 16), SubNet(4, 8)], ids=str)
def test_a_sub_net_gives_the_logits_of_the_model_that_is_taken_out(done, net):
    """Twin: counted from the smallest candidate, which is what the released code runs."""
    whole = weights(done, SEARCHED[0], "average", "0.pth")
    config = config_of(done, SEARCHED[0])
    torch.manual_seed(0)
    supernet = MODELS.build(config.model).eval()
    load_strict(supernet.members[0], whole, source="average")
    images = torch.rand(5, 3, net.img_size, net.img_size)
    with torch.no_grad(), supernet.only(net):
        judged = supernet.members[0](images)
    kept = kept_blocks(2, 4, net.depth)
    member = copy.deepcopy(config.model.member)
    member.backbone.arch.num_layers = net.depth
    for key in ("train_cfg", "data_preprocessor", "init_cfg"):
        member.pop(key, None)
    small = MODELS.build(member).eval()
    state = {name: t for name, t in whole.items() if "layers" not in name or "head" in name}
    for place, source in enumerate(kept):
        state |= {f"backbone.layers.{place}.{n}": t for n, t in block(whole, source).items()}
    load_strict(small, state, source="extracted")
    with torch.no_grad():
        assert torch.equal(small(images), judged)
        other = {**state, **{f"backbone.layers.0.{n}": t for n, t in block(whole, 3).items()}}
        load_strict(small, other, source="twin")
        assert not torch.equal(small(images), judged)


def config_of(cfg, name):
    return Config.fromfile(folder(cfg, name) / "config.py")


@pytest.mark.parametrize("mode", ["all", "new", "off"])
def test_mogrow(images, tmp_path, mode):
    """Old blocks and what is outside of them: of the average with 'all'; new blocks with 'new'."""
    cfg = protocol(images, tmp_path / "tiny", mogrow=mode, method="autoprog-manual")
    for stage in (0, 1):
        RUNNERS.build(copy.deepcopy(cfg)).train(stage)
    first, second = "stage0_1x16", "stage1_1x16"
    online = weights(cfg, first, "members/0.pth")
    child = weights(cfg, second, "grown/0/child.pth")
    average = {} if mode == "off" else weights(cfg, first, "average/0.pth")
    assert mode == "off" or len(differing(online, average)) > 20
    sources = block_sources("adjacent-last", 2, 3)
    for place, source in enumerate(sources):
        of_average = mode == "all" or (mode == "new" and place in new_blocks(sources))
        assert not differing(block(child, place), block(average if of_average else online, source))
    head = "head.layers.head.weight"
    assert torch.equal(child[head], (average if mode == "all" else online)[head])
    grown = folder(cfg, second) / "grown/0/average.pth"
    assert grown.is_file() == (mode != "off")
    for place, source in enumerate(sources if average else ()):
        own = weights(cfg, second, "grown/0/average.pth")
        assert not differing(block(own, place), block(average, source))


def test_a_fresh_supernet_repeats_the_blocks_of_the_smallest(done):
    config = config_of(done, SEARCHED[0])
    assert config.model.fresh
    supernet = MODELS.build(config.model)
    supernet.init_weights()
    state = supernet.member_state_dict(0)
    for place, source in enumerate((0, 0, 2, 2)):
        assert not differing(block(state, place), block(state, source))
    assert differing(block(state, 0), block(state, 2))


@pytest.mark.parametrize(
    "stage",
    [pytest.param(0, marks=pytest.mark.slow), 2, pytest.param(4, marks=pytest.mark.slow)],
)
def test_resumed_from_the_middle_it_ends_the_same(images, tmp_path, done, stage):
    cfg = copy.deepcopy(done)
    cfg.work_dir = str(tmp_path / "tiny")
    shutil.copytree(done.work_dir, cfg.work_dir)
    name = plan_of(done)["stages"][stage]["name"]
    own = folder(cfg, name)
    for path in [own / "cost.json", own / "search.json", *own.glob("members/*.pth")]:
        path.unlink(missing_ok=True)
    for path in Path(cfg.work_dir).glob("tiny.*"):
        path.unlink()
    train_protocol(cfg, resume=True)
    assert plan_of(cfg) == plan_of(done)
    for row in plan_of(done)["stages"]:
        states = [weights(c, row["name"], "members/0.pth") for c in (cfg, done)]
        assert not differing(*states)
    for one in SEARCHED:
        assert load_json(folder(cfg, one) / "search.json") == load_json(
            folder(done, one) / "search.json"
        )
    ledgers = [load_json(folder(c, "ledger.json"))["total_flops"] for c in (cfg, done)]
    assert ledgers[0] == ledgers[1]


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    "times, again",
    [
        pytest.param(1, 0, marks=pytest.mark.slow),
        pytest.param(2, 1, marks=pytest.mark.slow),
        (3, 0),
    ],
)
def test_killed_while_it_judges_it_ends_the_same(images, tmp_path, done, monkeypatch, times, again):
    """Saved in every iteration; what a checkpoint has seen is not judged again."""
    cfg = copy.deepcopy(done)
    cfg.work_dir = str(tmp_path / "tiny")
    cfg.default_hooks.checkpoint = dict(type="mmrbdc.CheckpointHook", interval=1, by_epoch=False)
    own, calls = judge.JudgeHook._judge, []

    def judged(self, siblings):
        calls.append(1)
        if len(calls) == times:
            raise Killed
        return own(self, siblings)

    monkeypatch.setattr(judge.JudgeHook, "_judge", judged)
    with pytest.raises(Killed):
        train_protocol(cfg)
    train_protocol(cfg, resume=True)
    assert len(calls) == 1 + again + 3 * len(SEARCHED)  # behind one iteration none is saved yet
    states = [weights(c, "tiny.pth") for c in (cfg, done)]
    assert not differing(*states)
    found = [load_json(folder(c, SEARCHED[1]) / "search.json")["losses"] for c in (cfg, done)]
    assert found[0] == found[1]


def test_a_finished_one_is_left_alone_and_a_begun_one_asks_for_resume(done, tmp_path):
    path = folder(done, "tiny.pth")
    before = path.stat().st_mtime_ns
    train_protocol(done)
    assert path.stat().st_mtime_ns == before
    cfg = copy.deepcopy(done)
    cfg.work_dir = str(tmp_path / "tiny")
    shutil.copytree(done.work_dir, cfg.work_dir)
    folder(cfg, "tiny.json").unlink()
    with pytest.raises(PlanError, match="an unfinished run of this protocol; add --resume"):
        train_protocol(cfg)


def test_a_whole_model_leaves_the_searches_out(images, tmp_path, monkeypatch):
    """Where the first search chooses everything; the stages keep their lengths."""

    def whole(nets, losses, costs):
        return replace(choose(nets, losses, costs), index=len(nets) - 1)

    monkeypatch.setattr(judge, "choose", whole)
    cfg = run(images, tmp_path / "tiny")
    rows = plan_of(cfg)["stages"]
    assert [bool(row.get("skipped")) for row in rows] == [False, False, True, False, False]
    assert not folder(cfg, SEARCHED[1]).exists()
    assert rows[1]["iters"] + rows[0]["iters"] == rows[3]["iters"]
    plan, ledger = plan_of(cfg), load_json(folder(cfg, "ledger.json"))
    least = plan["reference"]["flops"] - 8 * plan["reference"]["train_flops_per_sample"]
    assert ledger["total_flops"] == plan["total_flops"] and ledger["total_flops"] > least
    (folder(cfg, "test.json")).write_text('{"top1": 50.0, "split": "test"}')
    read = PretrainingRun.read(Path(cfg.work_dir))
    assert [stage.name for stage in read.stages] == [SEARCHED[0], *TRAINED]
    train_protocol(cfg)


def test_junctions_are_scored_at_both_sizes(done):
    for name in (SEARCHED[1], *TRAINED):
        (child,) = load_json(folder(done, name) / "junction.json")["children"]
        assert len(child["parents"]) == 1
    last = load_json(folder(done, TRAINED[-1]) / "junction.json")["children"][0]
    assert 0 <= last["at_parents_size"] <= 100


def test_the_schedule_is_one_over_the_whole_run(done):
    """Positions follow from the FLOPs spent, of the budget."""
    plan = plan_of(done)
    limit = plan["reference"]["flops"]
    spent = 0
    for row in plan["stages"]:
        cfg = config_of(done, row["name"])
        starts = [h for h in cfg.get("custom_hooks", []) if h["type"] == "mmrbdc.ScheduleStartHook"]
        begin = starts[0]["iters"] if starts else 0
        cosine = cfg.param_scheduler[-1]
        assert begin / cosine["end"] == pytest.approx(spent / limit, abs=1.5 / cosine["end"])
        spent += row["flops"] - row.get("judging_flops", 0)
    assert spent / limit > 0.8  # the rest is judging


@pytest.mark.parametrize("method", ["autoprog", "autoprog-manual"])
def test_a_resnet_grows_its_images_only(images, tmp_path, method):
    cfg = run(images, tmp_path / "tiny", "resnet", method)
    rows = [row for row in plan_of(cfg)["stages"] if not row.get("searching")]
    assert len({row["label"] for row in rows}) == 1
    assert rows[-1]["img_size"] == [16, 16]
    with pytest.raises(PlanError, match="depth growth needs blocks that are all alike"):
        run(images, tmp_path / "other", "resnet", method, depths=[4, 6, 8])


def test_time_is_measured_once_and_said_to_be(images, tmp_path):
    cfg = run(images, tmp_path / "tiny", cost="time")
    found = load_json(folder(cfg, SEARCHED[0]) / "search.json")
    assert found["cost"].startswith("time: seconds") and found["repeatable"] is False
    assert all(0 < cost < 60 for cost in found["costs"])


def test_by_epochs_the_run_takes_the_references(images, tmp_path):
    cfg = run(images, tmp_path / "tiny", budget=None, lengths="epochs")
    rows = plan_of(cfg)["stages"]
    assert sum(row["iters"] for row in rows) == 12 * 3
    assert [row["iters"] for row in rows] == [3, 9, 3, 9, 12]


def test_a_plan_has_a_range(images, tmp_path):
    cfg = protocol(images, tmp_path / "tiny")
    parsed = parse_protocol(cfg)
    rows = []
    for largest in (True, False):
        one = settled(parsed, {}, largest=largest)
        rows.append(make_plan(one, **plan_inputs(cfg, one, samples=20)).rows)
    assert rows[0][-1].iters < rows[1][-1].iters
    (_, one, *_), (search, other, again, third, _) = rows
    assert one.iters == other.iters and third.iters == other.iters
    assert rows[0][3].iters == again.iters + third.iters  # the whole model searches no more
    assert not rows[0][0].skipped and rows[0][2].skipped and not again.skipped
    assert search.iters == 3


def test_stages_ease_their_regularisation(images, tmp_path):
    """The search has all of it, as the last stage; the first stage has none of drop-path."""
    cfg = protocol(images, tmp_path / "tiny")
    pipeline = cfg.train_dataloader.dataset.pipeline
    pipeline.insert(-1, dict(type="RandAugment", policies="timm_increasing", num_policies=2,
                             total_level=10, magnitude_level=9))  # fmt: skip
    pipeline.insert(-1, dict(type="RandomErasing", erase_prob=0.25))
    stages = parse_protocol(cfg).stages
    found = []
    for stage in stages:
        one = stage_config(cfg, stage)
        magnitude, erasing = one.train_dataloader.dataset.pipeline[-3:-1]
        found.append(
            (magnitude["magnitude_level"], erasing["erase_prob"], one.model.backbone.drop_path_rate)
        )
    full = (9, 0.25, 0.3)
    assert found == [full, (4, 0, 0), full, (7, 0.125, 0.15), full]


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "search.json"),
        ('{"fingerprint": "another"}', "it is of another run"),
        ("[]", "search.json"),
        (None, "none of its candidates"),
    ],
)
def test_a_damaged_search_is_named(done, tmp_path, text, words):
    cfg = copy.deepcopy(done)
    cfg.work_dir = str(tmp_path / "tiny")
    shutil.copytree(done.work_dir, cfg.work_dir)
    path = folder(cfg, SEARCHED[0]) / "search.json"
    if text is None:
        text = path.read_text().replace('"chosen": {\n    "depth": ', '"chosen": {\n    "depth": 1')
    path.write_text(text)
    with pytest.raises(AnalysisError, match=words):
        train_protocol(cfg, resume=True)


def test_outcomes_settle_the_stages(images, tmp_path):
    parsed = parse_protocol(protocol(images, tmp_path / "tiny"))
    small = settled(parsed, {Train(0, (0,)): Outcome(chosen=SubNet(2, 8))})
    assert [str(s.depth) for s in small.stages] == ["1", "1/2", "1", "1", "1"]
    assert [s.img_size for s in small.stages] == [16, 8, 16, 16, 16]
    assert small.stages[2].search.current == 2
    assert settled(parsed, {}) == parsed


def test_a_run_tells_the_range_until_all_is_found(done):
    """Also where a search finds what the plan had taken it to find."""
    found = {}
    one = ProtocolRun(copy.deepcopy(done))
    assert any("always the smallest: stage4_1x16" in line for line in told(one))
    for step, chosen in ((Train(0, (0,)), SubNet(2, 8)), (Train(2, (0,)), SubNet(4, 8))):
        assert one.least_plan is not None
        found[step] = Outcome(chosen=chosen)
        assert one.settle(found) and not one.settle(found)
    assert one.least_plan is None and not any("always" in line for line in told(one))
    whole = ProtocolRun(copy.deepcopy(done))
    assert whole.settle({Train(0, (0,)): Outcome(chosen=SubNet(4, 16))})
    assert whole.least_plan is None


def told(one):
    return plan_lines(one.plan, one.least_plan)
