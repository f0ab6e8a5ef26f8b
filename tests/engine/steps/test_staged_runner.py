"""A protocol from its config to its final model, kept, resumed and refused.

Two DeiT members of half width and their child, with augmentation, drop-path, an average of the
weights and two data workers.
"""

import copy
import json
import shutil
import time
from pathlib import Path

import pytest
import safetensors.torch
from mmengine.config import Config
from mmengine.registry import MODELS

from mmrbdc.datasets import DataError
from mmrbdc.engine import StagedRunner
from mmrbdc.engine.configs.cfg_options import merge_options
from mmrbdc.families import architecture_from_dict
from mmrbdc.growth import grow
from mmrbdc.plan import PlanError
from mmrbdc.registry import RUNNERS
from mmrbdc.weights import WeightsError, read_checkpoint
from tests.engine.tiny_runs import differing, load_json, one_stage, staged, train_protocol

STAGES = ["stage0_2x8", "stage1_1x16"]
EMA = dict(type="EMAHook", momentum=0.02)


def protocol(images, work_dir, **changes):
    cfg = staged(images, work_dir, **changes)
    cfg.train_dataloader.num_workers = 2
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    cfg.stages[1]["optim_wrapper"] = dict(optimizer=dict(lr=0.005))
    return cfg


@pytest.fixture(scope="module")
def done(images, tmp_path_factory):
    """The config of a finished protocol."""
    work_dir = tmp_path_factory.mktemp("done") / "tiny"
    cfg = protocol(images, work_dir, custom_hooks=[EMA])
    train_protocol(cfg)
    return cfg


@pytest.fixture
def copied(done, tmp_path):
    """The same protocol, finished, in a folder of its own."""
    cfg = copy.deepcopy(done)
    cfg.work_dir = str(tmp_path / "tiny")
    shutil.copytree(done.work_dir, cfg.work_dir)
    return cfg


def weights(cfg):
    """The state dict of every file of weights that a protocol leaves."""
    folder = Path(cfg.work_dir)
    paths = [*folder.glob("stage*/members/*.pth"), folder / "tiny.pth"]
    assert len(paths) == 4
    return {path.relative_to(folder): read_checkpoint(path).state_dict for path in sorted(paths)}


def assert_same_weights(cfg, other):
    ours, theirs = weights(cfg), weights(other)
    assert ours.keys() == theirs.keys()
    assert not any(differing(ours[name], theirs[name]) for name in ours)


def stamps(folder):
    """Path -> time and size of every file of weights."""
    files = [p for p in Path(folder).rglob("*") if p.suffix in (".pth", ".safetensors")]
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


def undo(cfg, stage, after=None):
    """Take back what a protocol did from a stage on, or in it ``after`` an epoch."""
    folder = Path(cfg.work_dir)
    for path in folder.glob("tiny.*"):
        path.unlink()
    for name in STAGES[stage + 1 :]:
        shutil.rmtree(folder / name)
    shutil.rmtree(folder / STAGES[stage] / "members")
    for name in ("stage.json", "cost.json"):
        (folder / STAGES[stage] / name).unlink()
    for path in (folder / STAGES[stage]).glob("epoch_*.pth"):
        if int(path.stem[6:]) > (after or 0):
            path.unlink()


def test_a_protocol_leaves_what_it_promises(done):
    folder = Path(done.work_dir)
    expected = [
        "plan.json",
        "ledger.json",
        "tiny.pth",
        "tiny.safetensors",
        "tiny.json",
        *(f"{stage}/{name}" for stage in STAGES for name in ("config.py", "curve.json")),
        "stage0_2x8/members/0.pth",
        "stage0_2x8/members/1.pth",
        "stage1_1x16/members/0.pth",
        "stage1_1x16/junction.json",
    ]
    assert not [name for name in expected if not (folder / name).is_file()]
    assert not list(folder.rglob("*.tmp"))


def test_the_ledger_agrees_with_the_plan(done):
    folder = Path(done.work_dir)
    plan, ledger = load_json(folder / "plan.json"), load_json(folder / "ledger.json")
    assert [entry["name"] for entry in ledger["stages"]] == STAGES
    assert ledger["total_flops"] == pytest.approx(plan["total_flops"], rel=0.005)
    for row, entry in zip(plan["stages"], ledger["stages"], strict=True):
        assert entry["flops"] == pytest.approx(row["flops"], rel=0.005)
        assert (entry["samples"], entry["iters"]) == (row["samples"], row["iters"])
        assert entry["wall_s"] > 0


def test_the_curve_counts_the_whole_protocol(done):
    folder = Path(done.work_dir)
    ledger = load_json(folder / "ledger.json")
    junction = load_json(folder / STAGES[1] / "junction.json")
    curves = [load_json(folder / stage / "curve.json") for stage in STAGES]
    flops = [point["flops"] for curve in curves for point in curve]
    assert flops == sorted(set(flops)) and flops[-1] == ledger["total_flops"]
    assert junction["flops"] == curves[0][-1]["flops"] == ledger["stages"][0]["flops"]
    (child,) = junction["children"]
    assert child.keys() == {"parents", "ensemble", "child"} and len(child["parents"]) == 2


def test_the_final_model_is_a_plain_classifier_that_says_what_it_is(done):
    folder = Path(done.work_dir)
    final = read_checkpoint(folder / "tiny.pth")
    meta = load_json(folder / "tiny.json")
    architecture = architecture_from_dict(meta["architecture"])
    assert architecture.width == 16
    MODELS.build(architecture.classifier_config(done.model)).load_state_dict(final.state_dict)
    assert not differing(final.state_dict, safetensors.torch.load_file(folder / "tiny.safetensors"))
    last = read_checkpoint(folder / STAGES[1] / "members" / "0.pth")
    assert not differing(final.state_dict, last.state_dict)
    assert (meta["name"], meta["method"], meta["family"], meta["seed"]) == (
        "tiny",
        "rbdc",
        "deit",
        5,
    )
    assert meta["train_flops"] == load_json(folder / "ledger.json")["total_flops"]
    assert 0 <= meta["accuracy"]["val/top1"] <= 100
    parents = [read_checkpoint(folder / STAGES[0] / "members" / f"{i}.pth") for i in range(2)]
    assert meta["parents"] == [parent.sha256 for parent in parents]
    assert [(s["members"], s["width"]) for s in meta["stages"]] == [(2, 8), (1, 16)]
    assert meta["wall_s"] > 0 and meta["versions"]["mmengine"]


def test_a_members_flops_are_its_own_and_its_ancestors(done):
    folder = Path(done.work_dir)
    total = load_json(folder / "ledger.json")["total_flops"]
    assert read_checkpoint(folder / STAGES[1] / "members/0.pth").meta["train_flops"] == total


def test_the_stages_ran_with_their_own_overrides(done):
    runs = [Config.fromfile(str(Path(done.work_dir) / stage / "config.py")) for stage in STAGES]
    assert [run.optim_wrapper.optimizer.lr for run in runs] == [0.01, 0.005]
    assert [run.model.member.backbone.arch.embed_dims for run in runs] == [8, 16]


def test_the_child_is_trained_on_from_its_parents(done):
    """One epoch from the operator's weights is not far from them, and not at them."""
    folder = Path(done.work_dir)
    parents = [
        read_checkpoint(folder / STAGES[0] / f"members/{i}.pth").state_dict for i in range(2)
    ]
    child = read_checkpoint(folder / "tiny.pth")
    start = grow(parents, architecture_from_dict(child.meta["architecture"]).layout()).state_dict
    assert len(differing(start, child.state_dict)) > 0.9 * len(start)
    weight = "backbone.patch_embed.projection.weight"
    far = (child.state_dict[weight] - start[weight]).norm()
    assert far < 0.5 * start[weight].norm()


def test_finished_members_are_never_trained_again(copied):
    before = stamps(Path(copied.work_dir) / STAGES[0]), stamps(Path(copied.work_dir) / STAGES[1])
    ledger = load_json(Path(copied.work_dir) / "ledger.json")
    for resume in (False, True):
        train_protocol(copied, resume=resume)
    after = stamps(Path(copied.work_dir) / STAGES[0]), stamps(Path(copied.work_dir) / STAGES[1])
    assert before == after
    assert load_json(Path(copied.work_dir) / "ledger.json") == ledger


@pytest.mark.parametrize("index", [0, 1])
def test_a_deleted_member_alone_is_trained_again_and_comes_back(copied, done, index):
    stage = Path(copied.work_dir) / STAGES[0]
    (stage / "members" / f"{index}.pth").unlink()
    kept = stamps(stage / "members")
    train_protocol(copied, resume=True)
    assert stamps(stage / "members").items() >= kept.items()
    assert_same_weights(copied, done)


@pytest.mark.parametrize("stage, epoch", [(0, None), (0, 1), (1, None), (1, 1)])
def test_a_resumed_protocol_ends_as_an_unbroken_one(copied, done, stage, epoch):
    undo(copied, stage, epoch)
    train_protocol(copied, resume=True)
    assert_same_weights(copied, done)
    for name in STAGES:
        ours, theirs = (load_json(Path(c.work_dir) / name / "curve.json") for c in (copied, done))
        assert ours == theirs
    ours, theirs = (load_json(Path(c.work_dir) / "ledger.json") for c in (copied, done))
    assert ours["total_flops"] == theirs["total_flops"]
    last = [Path(c.work_dir) / STAGES[stage] / "epoch_2.pth" for c in (copied, done)]
    averages = [read_checkpoint(path, weights="ema").state_dict for path in last]
    assert not differing(*averages)


def test_a_resumed_stage_passes_over_a_damaged_checkpoint(copied, done):
    undo(copied, 0, after=2)
    newest = Path(copied.work_dir) / STAGES[0] / "epoch_2.pth"
    content = newest.read_bytes()
    newest.write_bytes(content[: len(content) // 2])
    train_protocol(copied, resume=True)
    assert_same_weights(copied, done)
    assert "passing over" in (Path(copied.work_dir) / "protocol.log").read_text()


def test_the_seed_decides_the_weights_and_the_number_of_workers_does_not(images, done, tmp_path):
    for seed, same in ((5, True), (6, False)):
        cfg = protocol(images, tmp_path / str(seed) / "tiny", randomness=dict(seed=seed))
        cfg.custom_hooks = [EMA]
        cfg.train_dataloader.num_workers = 0
        train_protocol(cfg)
        if same:
            assert_same_weights(cfg, done)
        else:
            ours, theirs = weights(cfg), weights(done)
            assert all(differing(ours[name], theirs[name]) for name in ours)


def test_protocols_begun_in_the_same_second_are_apart(images, tmp_path, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    runs = [staged(images, tmp_path / name / "tiny") for name in ("first", "second")]
    for cfg in runs:
        train_protocol(cfg)
        for stage in STAGES:
            folder = Path(cfg.work_dir) / stage
            assert [*folder.glob("*/*.log")] and [*folder.glob("*/vis_data/scalars.json")]
    assert_same_weights(*runs)


def test_an_unfinished_protocol_goes_on_only_when_it_is_told_to(copied):
    undo(copied, 0, after=1)
    before = stamps(copied.work_dir)
    with pytest.raises(PlanError, match="unfinished run.*--resume"):
        train_protocol(copied)
    assert stamps(copied.work_dir) == before


def test_a_run_that_left_no_weights_is_begun_anew(copied):
    undo(copied, 0)
    merge_options(copied, {"stages.0.iters": 1, "stages.0.epochs": None})
    train_protocol(copied)
    assert load_json(Path(copied.work_dir) / "ledger.json")["stages"][0]["iters"] == 1


@pytest.mark.parametrize(
    "options, named",
    [
        ({"optim_wrapper.optimizer.lr": 0.02}, "0.optim_wrapper.optimizer.lr: 0.01 -> 0.02"),
        ({"stages.0.epochs": 3}, "0.max_iters: 6 -> 9"),
        ({"randomness.seed": 6}, "0.seed: 5 -> 6"),
        ({"model.backbone.drop_path_rate": 0.1}, "drop_path_rate: 0.3 -> 0.1"),
    ],
)
def test_a_changed_protocol_is_refused_by_the_key_that_differs(copied, options, named):
    merge_options(copied, options)
    before = (Path(copied.work_dir) / "plan.json").read_bytes(), stamps(copied.work_dir)
    with pytest.raises(PlanError) as error:
        train_protocol(copied, resume=True)
    assert named in str(error.value) and "--work-dir" in str(error.value)
    after = (Path(copied.work_dir) / "plan.json").read_bytes(), stamps(copied.work_dir)
    assert before == after


def test_averages_can_be_what_is_grown(images, done, tmp_path):
    settings = dict(method="rbdc", family="deit", reference_epochs=10, parents="ema")
    cfg = protocol(images, tmp_path / "tiny", custom_hooks=[EMA], protocol=settings)
    train_protocol(cfg)
    for i in range(2):
        file = f"{STAGES[0]}/members/{i}.pth"
        ours, theirs = (read_checkpoint(Path(c.work_dir) / file) for c in (cfg, done))
        assert (ours.weights, theirs.weights) == ("ema", "raw")
        assert differing(ours.state_dict, theirs.state_dict)
    written = [
        read_checkpoint(Path(c.work_dir) / STAGES[0] / "epoch_2.pth", weights="ema").state_dict
        for c in (cfg, done)
    ]
    assert not differing(*written)
    assert load_json(Path(cfg.work_dir) / "tiny.json")["weights"] == "ema"


def test_averages_that_nobody_keeps_are_refused_before_training(images, tmp_path):
    settings = dict(method="rbdc", family="deit", reference_epochs=10, parents="ema")
    cfg = protocol(images, tmp_path / "tiny", protocol=settings)
    with pytest.raises(WeightsError, match="no EMAHook runs"):
        train_protocol(cfg)
    assert not list(Path(cfg.work_dir).rglob("*.pth"))


def test_a_baseline_is_a_protocol_of_one_stage(images, tmp_path):
    cfg = one_stage(images, tmp_path / "tiny", "resnet", overrides=dict(epochs=1))
    path = train_protocol(cfg)
    meta = read_checkpoint(path).meta
    assert (meta["method"], meta["parents"]) == ("scratch", [])
    assert not list(Path(cfg.work_dir).rglob("junction.json"))


def test_a_protocol_can_go_without_validation(images, tmp_path):
    cfg = staged(images, tmp_path / "tiny")
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    path = train_protocol(cfg)
    assert read_checkpoint(path).meta["accuracy"] == {"val/top1": None}
    assert not list(Path(cfg.work_dir).rglob("curve.json"))


def test_the_final_model_is_tested_on_the_test_split(done):
    metrics = RUNNERS.build(copy.deepcopy(done)).test()
    assert metrics.keys() == {"accuracy/top1"} and 0 <= metrics["accuracy/top1"] <= 100


def test_an_accuracy_belongs_to_the_weights_beside_it(done):
    """The files have raw weights, whose accuracy is not that of the average in the curve."""
    folder = Path(done.work_dir)
    members = [read_checkpoint(folder / STAGES[0] / f"members/{i}.pth").meta for i in range(2)]
    stated = [meta["accuracy"]["val/top1"] for meta in members]
    (child,) = load_json(folder / STAGES[1] / "junction.json")["children"]
    assert stated == load_json(folder / STAGES[0] / "stage.json")["member_top1"] == child["parents"]
    assert stated != load_json(folder / STAGES[0] / "curve.json")[-1]["members"]
    on_val = copy.deepcopy(done)
    on_val.test_dataloader = done.val_dataloader
    found = RUNNERS.build(on_val).test()["accuracy/top1"]
    assert load_json(folder / "tiny.json")["accuracy"]["val/top1"] == found


def test_a_model_that_is_not_there_says_how_to_make_it(images, tmp_path):
    cfg = protocol(images, tmp_path / "tiny")
    with pytest.raises(PlanError, match="tiny.pth does not exist.*tools/train.py"):
        RUNNERS.build(cfg).test()


def test_missing_data_is_refused_before_anything_is_written(images, tmp_path):
    cfg = protocol(tmp_path / "no images", tmp_path / "tiny")
    with pytest.raises(DataError, match="no folder"):
        train_protocol(cfg)
    assert not Path(cfg.work_dir).exists()


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(stages=[]), "stages"),
        (dict(load_from="x.pth"), "load_from has no meaning"),
        (dict(val_evaluator=dict(type="ConfusionMatrix")), "val_evaluator is ConfusionMatrix"),
        (dict(protocol=dict(method="rbdc", family="deit", operater="x")), "'operater'"),
        (dict(train_dataloader=None), "has no train_dataloader; was _base_ forgotten"),
        (dict(optim_wrapper=None, train_cfg=None), "has no train_cfg, optim_wrapper"),
        (dict(train_cfg="EpochBasedTrainLoop"), "train_cfg='EpochBasedTrainLoop' is not a dict"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(images, tmp_path, change, message):
    cfg = protocol(images, tmp_path / "tiny")
    cfg.update(change)
    with pytest.raises(ValueError, match=message):
        RUNNERS.build(cfg)
    assert not Path(cfg.work_dir).exists()


@pytest.mark.parametrize("gone", ["test_dataloader", "test_cfg", "test_evaluator"])
def test_a_half_test_is_refused_before_the_first_stage(images, tmp_path, gone):
    cfg = protocol(images, tmp_path / "tiny")
    cfg[gone] = None
    with pytest.raises(ValueError, match=f"has no {gone}, and has .*set all three to None"):
        train_protocol(cfg)
    assert not Path(cfg.work_dir).exists()


def test_a_protocol_can_go_without_a_test(images, tmp_path):
    without = dict(test_dataloader=None, test_cfg=None, test_evaluator=None)
    cfg = one_stage(images, tmp_path, overrides=dict(epochs=1), **without)
    assert train_protocol(cfg).is_file()


def test_the_runner_is_built_by_its_type(images, tmp_path):
    runner = RUNNERS.build(protocol(images, tmp_path / "named so"))
    assert isinstance(runner, StagedRunner)
    plan = json.loads(json.dumps(runner.protocol_run.plan.to_dict()))
    assert (runner.protocol_run.name, plan["stages"][0]["name"]) == ("named so", STAGES[0])
