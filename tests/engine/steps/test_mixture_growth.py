"""Protocols of MixtureGrowth, from the config to members as mixtures and to the final file."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmrbdc.engine.junctions.grow_files import grow_files
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import GrowthError, grow
from mmrbdc.growth.maps.templates import has_templates, plain_state
from mmrbdc.growth.operators.mixture_growth import OFF_DIAGONALS
from mmrbdc.plan import PlanError
from mmrbdc.weights import read_checkpoint
from tests.engine.tiny_runs import (
    differing,
    load_json,
    stage_run,
    staged,
    stages_of,
    train,
    train_protocol,
)

pytestmark = pytest.mark.numeric

FAMILIES = ("deit", "resnet")
METHOD = "mixture-growth"
STAGES = [dict(members=2, width="1/2", epochs=2), dict(members=1, width=1, epochs=1)]
NO_VALIDATION = dict(val_cfg=None, val_dataloader=None, val_evaluator=None)


def protocol(images, work_dir, family="deit", method=METHOD, stages=None, settings=None, **changes):
    cfg = staged(images, work_dir, family, **changes)
    cfg.protocol = dict(method=method, family=family, reference_epochs=10, **(settings or {}))
    cfg.stages = copy.deepcopy(STAGES if stages is None else stages)
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    return cfg


@pytest.fixture(scope="module", params=FAMILIES)
def done(images, tmp_path_factory, request):
    """The config of a finished protocol, averages kept beside."""
    work_dir = tmp_path_factory.mktemp("done") / "tiny"
    hooks = [dict(type="EMAHook", momentum=0.3)]
    cfg = protocol(images, work_dir, request.param, custom_hooks=hooks)
    train_protocol(cfg)
    return cfg


def members_of(cfg):
    return sorted(Path(cfg.work_dir).glob("stage0_*/members/*.pth"))


def layout_of(cfg):
    return architecture_from_config(cfg.model).layout()


def test_a_protocol_ends_with_a_plain_child(done):
    work_dir = Path(done.work_dir)
    final = read_checkpoint(work_dir / "tiny.pth")
    assert final.meta["method"] == METHOD
    assert layout_of(done).space_sizes(final.state_dict, "tiny.pth")
    assert all(has_templates(read_checkpoint(path).state_dict) for path in members_of(done))
    plan, ledger = (load_json(work_dir / f"{name}.json") for name in ("plan", "ledger"))
    assert ledger["total_flops"] == pytest.approx(plan["total_flops"], rel=0.005)
    (stage,) = work_dir.glob("stage1_*")
    (scores,) = load_json(stage / "junction.json")["children"]
    assert len(scores["parents"]) == 2 and all(0 <= top1 <= 100 for top1 in scores["parents"])


def test_training_costs_what_it_costs_plain(images, tmp_path, done):
    """Mixing is per step, not per image."""
    plan, setups = stages_of(protocol(images, tmp_path, done.protocol.family, "rbdc"))
    assert setups[0].config.model.type == "ImageClassifier"
    ours = load_json(Path(done.work_dir) / "plan.json")["stages"][0]
    assert ours["train_flops_per_sample"] == plan.rows[0].train_flops_per_sample


def test_the_stages_that_ran(done):
    first, last = (
        Config.fromfile(next(Path(done.work_dir).glob(f"stage{i}_*/config.py"))) for i in range(2)
    )
    assert first.model.member.type == "mmrbdc.TemplateClassifier"
    assert last.model.member.type == "ImageClassifier"
    child = load_json(Path(last.model.init_cfgs[0].file).with_name("growth.json"))
    assert child["growth"]["operator"] == METHOD
    key = "parametrizations.weight.original1"
    assert first.optim_wrapper.paramwise_cfg.custom_keys[key] == dict(weight_decay=0.0)
    assert ".pos_embed" in first.optim_wrapper.paramwise_cfg.custom_keys
    assert key not in last.optim_wrapper.paramwise_cfg.custom_keys


@pytest.mark.parametrize("optimizer", [dict(type="SGD", lr=0.1, weight_decay=5e-4),
                                       dict(type="AdamW", lr=0.01)])  # fmt: skip
def test_coefficients_have_no_weight_decay_and_templates_have(images, tmp_path, optimizer):
    """Also where the recipe has no ``paramwise_cfg``, or leaves the decay to the optimizer."""
    cfg = protocol(images, tmp_path, "resnet", **NO_VALIDATION)
    cfg.optim_wrapper = dict(optimizer=optimizer)
    runner = Runner.from_cfg(stage_run(cfg))
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    decays = {p: g["weight_decay"] for g in wrapper.param_groups for p in g["params"]}
    plain = optimizer.get("weight_decay", 0.01)
    for name, parameter in runner.model.named_parameters():
        assert decays[parameter] == (0 if name.endswith(".original1") else plain), name


def test_the_child_is_grown_from_the_members_files(done):
    """By hand, and by tools/grow.py's function."""
    parents = [read_checkpoint(path).state_dict for path in members_of(done)]
    (stage,) = Path(done.work_dir).glob("stage1_*")
    record = load_json(stage / "grown/0/growth.json")
    seed = record["growth"]["seed"]
    child = grow(parents, layout_of(done), operator=METHOD,
                 generator=torch.Generator().manual_seed(seed)).state_dict  # fmt: skip
    config = stage / "child.py"
    Config(dict(model=done.model)).dump(str(config))
    found = grow_files(str(config), [str(path) for path in members_of(done)], operator=METHOD,
                       seed=seed)  # fmt: skip
    assert not differing(child, found.result.state_dict)
    assert "mixed" in "\n".join(found.lines())
    half = [plain_state(parent, layout_of(done)) for parent in parents]
    name = "backbone.layers.0.attn.proj.weight"
    if done.protocol.family == "resnet":
        name = "backbone.layer1.0.conv1.weight"
    width = len(half[0][name])
    assert torch.equal(child[name][:width, :width], half[0][name])
    assert torch.equal(child[name][width:, width:], half[1][name])
    assert child[name][:width, width:].abs().max() > 0


@pytest.mark.parametrize("operator", ["block-diagonal", "net2net"])
def test_tools_grow_refuses_mixtures_by_other_operators(done, tmp_path, operator):
    config = tmp_path / "child.py"
    Config(dict(model=done.model)).dump(str(config))
    paths = [str(path) for path in members_of(done)]
    with pytest.raises(GrowthError, match=r"0\.pth holds mixtures of templates.*mixture-growth"):
        grow_files(str(config), paths[: 1 if operator == "net2net" else 2], operator=operator)


def test_tools_grow_refuses_plain_files_and_says_how_to_make_others(done, tmp_path):
    config = tmp_path / "child.py"
    Config(dict(model=done.model)).dump(str(config))
    for i, path in enumerate(members_of(done)):
        content = torch.load(path, weights_only=True)
        content["state_dict"] = plain_state(content["state_dict"], layout_of(done))
        torch.save(content, tmp_path / f"{i}.pth")
    paths = [str(tmp_path / f"{i}.pth") for i in range(2)]
    message = r"0\.pth holds plain weights.*protocol\.method='mixture-growth-copy'.*--stage 0"
    with pytest.raises(GrowthError, match=message):
        grow_files(str(config), paths, operator="mixture-growth-copy")


def test_tools_grow_refuses_to_deepen_or_resize_mixtures(images, tmp_path):
    cfg = protocol(images, tmp_path / "tiny", **NO_VALIDATION)
    runner = train(stage_run(cfg))
    arch = architecture_from_config(cfg.model)
    paths = []
    for i in range(2):
        state = runner.model.member_state_dict(i)
        paths.append(str(tmp_path / f"{i}.pth"))
        meta = dict(architecture=arch.scaled(0.5).to_dict(), family="deit")
        torch.save(dict(state_dict=state, meta=meta), paths[-1])
    for change, options in (
        (dict(arch=dict(cfg.model.backbone.arch, num_layers=4)), dict(depth_operator="stack")),
        (dict(img_size=32), dict(resize_positions=True)),
    ):
        model = copy.deepcopy(cfg.model)
        model.backbone.update(change)
        config = tmp_path / f"{next(iter(options))}.py"
        Config(dict(model=model)).dump(str(config))
        with pytest.raises(GrowthError, match="grow in width only.*train it with the child's"):
            grow_files(str(config), paths, operator=METHOD, **options)


@pytest.mark.parametrize("stage, epoch", [(0, 1), (1, None)])
def test_a_resumed_protocol_ends_as_an_unbroken_one(done, tmp_path, stage, epoch):
    cfg = copy.deepcopy(done)
    cfg.work_dir = str(tmp_path / "tiny")
    shutil.copytree(done.work_dir, cfg.work_dir)
    folder = Path(cfg.work_dir)
    for path in [*folder.glob("tiny.*"), *folder.glob("stage1_*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if stage == 0:
        (first,) = folder.glob("stage0_*")
        shutil.rmtree(first / "members")
        (first / "cost.json").unlink()
        for path in first.glob("epoch_*.pth"):
            if int(path.stem.rpartition("_")[2]) > epoch:
                path.unlink()
    train_protocol(cfg, resume=True)
    for path in [*members_of(done), Path(done.work_dir) / "tiny.pth"]:
        again = folder / path.relative_to(done.work_dir)
        assert not differing(read_checkpoint(path).state_dict, read_checkpoint(again).state_dict), (
            path
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_averages_can_be_what_is_grown(images, tmp_path, family):
    hooks = [dict(type="EMAHook", momentum=0.3)]
    cfg = protocol(images, tmp_path / "tiny", family, settings=dict(parents="ema"),
                   custom_hooks=hooks, **NO_VALIDATION)  # fmt: skip
    train_protocol(cfg)
    (newest,) = Path(cfg.work_dir).glob("stage0_*/epoch_2.pth")
    for kind, same in (("ema", True), ("raw", False)):
        whole = read_checkpoint(newest, weights=kind).state_dict
        for i, path in enumerate(members_of(cfg)):
            own = {
                name.removeprefix(f"members.{i}."): tensor
                for name, tensor in whole.items()
                if name.startswith(f"members.{i}.")
            }
            assert (not differing(read_checkpoint(path).state_dict, own)) == same


@pytest.mark.parametrize("family", FAMILIES)
def test_a_member_in_lockstep_is_the_member_alone(images, tmp_path, family):
    """Training one leaves the other as it is, clipping and drop-path included."""
    cfg = protocol(images, tmp_path, family, **NO_VALIDATION)
    together = train(stage_run(cfg)).model
    for index in range(2):
        alone = train(stage_run(cfg, [index])).model
        assert not differing(together.member_state_dict(index), alone.member_state_dict(0))
    assert differing(together.member_state_dict(0), together.member_state_dict(1))


@pytest.mark.parametrize("option", [dict(compute="stacked"), dict(channels_last=True)])
@pytest.mark.parametrize("family", FAMILIES)
def test_options_of_lockstep_work(images, tmp_path, family, option):
    cfg = protocol(images, tmp_path / "tiny", family, lockstep=option, **NO_VALIDATION)
    if family == "resnet":  # channels last is refused for narrower members
        cfg.model.backbone.update(base_channels=16, stem_channels=16)
        cfg.model.head.in_channels = 128
    path = train_protocol(cfg)
    assert all(tensor.isfinite().all() for tensor in read_checkpoint(path).state_dict.values())


@pytest.mark.parametrize("method", sorted(OFF_DIAGONALS.keys() - {METHOD}))
def test_the_variants_train_too(images, tmp_path, method):
    cfg = protocol(images, tmp_path / "tiny", "deit", method)
    train_protocol(cfg)
    assert load_json(tmp_path / "tiny/tiny.json")["method"] == method


def test_zero_scores_what_the_ensemble_of_its_parents_does(images, tmp_path):
    train_protocol(protocol(images, tmp_path / "tiny", "resnet", "mixture-growth-zero"))
    (path,) = tmp_path.glob("tiny/stage1_*/junction.json")
    (scores,) = json.loads(path.read_text())["children"]
    assert scores["child"] == scores["ensemble"]


@pytest.mark.parametrize(
    "choice, message",
    [
        (dict(stages=[dict(members=4, width="1/4", epochs=1), *STAGES]), "3 stages of 4, 2, 1"),
        (dict(stages=[dict(STAGES[0], depth="1/2"), STAGES[1]]), r"stages\[0\] has depth=1/2"),
        (dict(stages=[dict(STAGES[0], img_size=8), STAGES[1]]), r"stages\[0\] has img_size=8"),
    ],
)
@pytest.mark.parametrize("method", [METHOD, "mixture-growth-zero"])
def test_what_does_not_go_together_is_refused(images, tmp_path, choice, message, method):
    with pytest.raises(PlanError, match=message):
        train_protocol(protocol(images, tmp_path / "tiny", "deit", method, **choice))
    assert not (tmp_path / "tiny").exists()


def test_a_config_of_template_members_is_refused(images, tmp_path):
    cfg = protocol(images, tmp_path / "tiny", method="rbdc")
    cfg.model.type = "mmrbdc.TemplateClassifier"
    with pytest.raises(PlanError, match=r"a TemplateClassifier.*protocol\.method says"):
        train_protocol(cfg)
