"""A stage is an ordinary MMPretrain run: what is derived for it, and what decides its weights."""

import copy
import json

import pytest
from mmengine.config import Config

from mmrbdc.engine.configs.cfg_options import merge_options
from mmrbdc.engine.configs.fingerprint import differences, fingerprint, hash_of
from mmrbdc.engine.configs.run_config import dump
from mmrbdc.plan import PlanError
from mmrbdc.seeding import derive_seed
from tests.engine.tiny_runs import ADAMW, BATCH, MIXED, stage_run, staged, stages_of, train


def hashes(cfg):
    return [setup.hash for setup in stages_of(cfg)[1]]


def changed(cfg, **options):
    """A copy of a config with some options, written with ``__`` for the dots."""
    copied = copy.deepcopy(cfg)
    merge_options(copied, {key.replace("__", "."): value for key, value in options.items()})
    return copied


@pytest.fixture
def cfg(images, tmp_path):
    return staged(images, tmp_path)


def test_a_run_has_nothing_that_only_a_protocol_has(cfg):
    run = stage_run(cfg)
    assert not {"runner_type", "stages", "protocol", "cfg_options", "data_preprocessor"} & set(run)
    assert run.default_scope == "mmpretrain"
    assert run.train_cfg == dict(type="mmrbdc.StageLoop", max_iters=6, val_begin=1, val_interval=1)


def test_the_members_are_narrow_and_have_seeds_of_their_own(cfg):
    run = stage_run(cfg)
    member = run.model.member
    assert member.backbone.arch.embed_dims == 8 and member.head.in_channels == 8
    assert member.data_preprocessor == cfg.data_preprocessor and member.train_cfg == MIXED
    assert run.model.seeds == [derive_seed("member", 5, 0, i) for i in range(2)]
    assert stage_run(cfg, [1]).model.seeds == run.model.seeds[1:]
    assert stage_run(cfg, stage=1).model.seeds[0] not in run.model.seeds


def test_data_keys_never_contain_the_member(cfg):
    loaders = [stage_run(cfg, indices).train_dataloader for indices in ([0, 1], [0], [1])]
    assert loaders[0] == loaders[1] == loaders[2]
    assert loaders[0].sampler.seed != stage_run(cfg, stage=1).train_dataloader.sampler.seed


def test_a_single_member_is_validated_as_itself(cfg):
    assert len(stage_run(cfg).val_evaluator) == 3
    assert stage_run(cfg, [1]).val_evaluator == cfg.val_evaluator


def test_loaders_get_what_mmpretrains_script_gives_them(cfg):
    cfg.val_dataloader.num_workers = 2
    run = stage_run(cfg)
    assert run.train_dataloader.collate_fn == dict(type="default_collate")
    assert not run.train_dataloader.persistent_workers and run.val_dataloader.persistent_workers


@pytest.mark.parametrize(
    "wrapper, message",
    [
        (dict(type="AmpOptimWrapper"), "dtype=None"),
        (dict(type="AmpOptimWrapper", dtype="float16"), "'float16'.*'bfloat16' only"),
        (dict(type="DeepSpeedOptimWrapper"), "'DeepSpeedOptimWrapper' is not supported"),
    ],
)
def test_an_optimizer_wrapper_that_couples_members_is_refused(cfg, wrapper, message):
    cfg.optim_wrapper = dict(ADAMW, **wrapper)
    with pytest.raises(PlanError, match=message):
        stage_run(cfg)


def test_lamb_is_refused_while_it_clips_all_members_together(cfg):
    cfg.optim_wrapper.optimizer = dict(type="Lamb", lr=1e-3, weight_decay=0.02)
    with pytest.raises(PlanError, match="max_grad_norm=1e30"):
        stage_run(cfg)
    cfg.optim_wrapper.optimizer.max_grad_norm = 1e30
    assert stage_run(cfg).optim_wrapper.optimizer.type == "Lamb"


def test_amp_becomes_autocast_without_a_scaler(cfg):
    cfg.optim_wrapper = dict(ADAMW, type="AmpOptimWrapper", dtype="bfloat16", loss_scale="dynamic")
    wrapper = stage_run(cfg).optim_wrapper
    assert wrapper.type == "mmrbdc.SiblingsOptimWrapper" and wrapper.autocast_dtype == "bfloat16"
    assert "loss_scale" not in wrapper and "dtype" not in wrapper


def test_a_batch_sampler_and_a_missing_length_are_refused(cfg):
    with pytest.raises(PlanError, match="batch_sampler"):
        stage_run(changed(cfg, train_dataloader__batch_sampler=dict(type="X")))
    cfg.train_cfg.pop("max_epochs")
    with pytest.raises(PlanError, match="train_cfg.max_epochs is missing"):
        stage_run(cfg)


def test_a_stage_overrides_the_config_and_the_command_line_overrides_the_stage(cfg):
    cfg.stages[0].optim_wrapper = dict(optimizer=dict(lr=0.5))
    cfg.stages[0]["model.backbone.drop_path_rate"] = 0.0
    runs = [stage_run(cfg, stage=i) for i in range(2)]
    assert [run.optim_wrapper.optimizer.lr for run in runs] == [0.5, 1e-2]
    assert [run.optim_wrapper.optimizer.weight_decay for run in runs] == [0.05, 0.05]
    assert [run.model.member.backbone.drop_path_rate for run in runs] == [0.0, 0.3]
    told = changed(cfg, optim_wrapper__optimizer__lr=0.25)
    assert [stage_run(told, stage=i).optim_wrapper.optimizer.lr for i in range(2)] == [0.25, 0.25]
    reached = changed(cfg, stages__0__optim_wrapper__optimizer__lr=0.125)
    rates = [stage_run(reached, stage=i).optim_wrapper.optimizer.lr for i in range(2)]
    assert rates == [0.125, 1e-2]


def test_a_dumped_run_is_read_back_and_can_be_run_by_hand(cfg, tmp_path):
    run = stage_run(cfg)
    dump(run, tmp_path / "stage")
    read = Config.fromfile(str(tmp_path / "stage" / "config.py"))
    assert read.to_dict() == run.to_dict()
    read.train_cfg.max_iters = 1
    assert train(read).iter == 1


def test_deriving_a_run_leaves_the_config_as_it_was(cfg):
    before = copy.deepcopy(cfg.to_dict())
    stage_run(cfg)
    assert cfg.to_dict() == before


@pytest.mark.parametrize(
    "option, value",
    [
        ("model__backbone__drop_path_rate", 0.1),
        ("optim_wrapper__optimizer__lr", 0.02),
        ("optim_wrapper__clip_grad__max_norm", 2.0),
        ("param_scheduler__1__eta_min", 1e-3),
        ("train_dataloader__batch_size", BATCH - 1),
        ("data_preprocessor__mean", [0.0, 0.0, 0.0]),
        ("stages__0__epochs", 3),
        ("randomness__seed", 6),
        ("custom_hooks", [dict(type="EMAHook")]),
        ("auto_scale_lr", dict(enable=True, base_batch_size=64)),
    ],
)
def test_what_decides_the_weights_changes_every_hash(cfg, option, value):
    before, after = hashes(cfg), hashes(changed(cfg, **{option: value}))
    assert all(a != b for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "option, value",
    [
        ("train_dataloader__num_workers", 2),
        ("train_dataloader__persistent_workers", False),
        ("val_dataloader__batch_size", 3),
        ("train_cfg__val_interval", 7),
        ("default_hooks__logger__interval", 7),
        ("log_level", "INFO"),
    ],
)
def test_what_does_not_decide_them_changes_none(cfg, option, value):
    assert hashes(cfg) == hashes(changed(cfg, **{option: value}))


def test_a_later_stage_does_not_change_an_earlier_one(cfg):
    before, after = hashes(cfg), hashes(changed(cfg, stages__1__epochs=5))
    assert before[0] == after[0] and before[1] != after[1]


def test_other_parents_or_another_operator_change_the_child(cfg):
    before, after = hashes(cfg), hashes(changed(cfg, protocol__parents="ema"))
    assert before[0] == after[0] and before[1] != after[1]


def test_a_fingerprint_is_plain_json_and_says_where_two_differ(cfg):
    setups = stages_of(cfg)[1]
    content = setups[0].content
    assert json.loads(json.dumps(content)) == content and hash_of(content) == setups[0].hash
    told = stages_of(changed(cfg, optim_wrapper__optimizer__lr=0.02))[1]
    assert differences(content, told[0].content) == [
        "optim_wrapper.optimizer.lr: 0.01 -> 0.02",
    ]
    assert fingerprint(stage_run(cfg), "x", 2)["world_size"] == 2


@pytest.mark.parametrize(
    "old, new, found",
    [
        (dict(a=1), dict(a=1), []),
        (dict(a=dict(b=1)), dict(a=dict(b=2)), ["a.b: 1 -> 2"]),
        (dict(a=1), dict(), ["a: 1 -> None"]),
        (dict(a=[1, 2]), dict(a=[1, 3]), ["a.1: 2 -> 3"]),
        (dict(a=[1, 2]), dict(a=[1]), ["a: [1, 2] -> [1]"]),
    ],
)
def test_differences(old, new, found):
    assert differences(old, new) == found


def test_how_float32_is_computed_is_part_of_the_fingerprint(cfg):
    plain = fingerprint(stage_run(cfg), None, 1)
    cfg.env_cfg = dict(float32_precision="tf32")
    found = fingerprint(stage_run(cfg), None, 1)
    assert found.pop("float32_precision") == "tf32" and found == plain
