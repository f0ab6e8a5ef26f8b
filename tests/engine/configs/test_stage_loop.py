"""A staged config's ``train_cfg``: each key is followed by its stages, or refused."""

import pytest
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mmrbdc.engine.configs.cfg_options import merge_options
from mmrbdc.engine.configs.stage_loop import check_train_cfg
from mmrbdc.plan import PlanError
from tests.engine.tiny_runs import stage_run, staged, train_protocol


@pytest.fixture
def cfg(images, tmp_path):
    return staged(images, tmp_path)


def loop_of(cfg, stage=0, **train_cfg):
    cfg.train_cfg.update(train_cfg)
    return stage_run(cfg, stage=stage).train_cfg


@pytest.mark.parametrize(
    "given",
    [
        dict(val_begin=2, val_interval=3),
        dict(by_epoch=True),
        dict(type="EpochBasedTrainLoop"),
        dict(type="mmengine.EpochBasedTrainLoop"),
        dict(type=EpochBasedTrainLoop, by_epoch=True),
        dict(max_iters=None, dynamic_intervals=None),
    ],
)
def test_what_a_stage_follows(cfg, given):
    """The twin of what is refused."""
    loop = loop_of(cfg, **given)
    assert loop.type == "mmrbdc.StageLoop" and loop.max_iters == 6
    assert loop.val_begin == given.get("val_begin", 1)
    assert loop.val_interval == given.get("val_interval", 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (dict(type="IterBasedTrainLoop"), "train_cfg.type is 'IterBasedTrainLoop', but stages"),
        (dict(type=IterBasedTrainLoop), "train_cfg.type is 'IterBasedTrainLoop', but stages"),
        (dict(type="my.Loop"), "trained by mmrbdc.StageLoop.*; leave train_cfg.type out"),
        (dict(by_epoch=False), "train_cfg.by_epoch=False.*; leave by_epoch out and give train_cfg"),
        (dict(max_iters=900), "train_cfg.max_iters=900.*; leave max_iters out and give train_cfg"),
        (dict(dynamic_intervals=[(9, 1)]), "dynamic_intervals.*stages.0.train_cfg.val_interval"),
        (dict(val_intervall=2), "unknown key 'val_intervall'; did you mean 'val_interval'?"),
        (dict(patience=2), "unknown key 'patience'; known: 'type', 'by_epoch', .*'val_interval'$"),
        (dict(val_interval=0), "train_cfg.val_interval is 0; it must be a whole number"),
        (dict(val_interval=1.5), "train_cfg.val_interval is 1.5; it must be a whole number"),
        (dict(val_begin="2"), "train_cfg.val_begin is '2'; it must be a number"),
        (dict(max_epochs=-1), "train_cfg.max_epochs is -1; it must be a number above 0"),
    ],
)
def test_what_no_stage_does_is_refused(cfg, given, words):
    with pytest.raises(PlanError, match=words):
        loop_of(cfg, **given)


def test_a_stage_may_have_intervals_of_its_own(cfg):
    merge_options(cfg, {"stages.0.train_cfg.val_interval": 2})
    assert [loop_of(cfg, stage=i).val_interval for i in range(2)] == [2, 1]
    merge_options(cfg, {"stages.1.train_cfg.dynamic_intervals": [(9, 1)]})
    with pytest.raises(PlanError, match="dynamic_intervals"):
        loop_of(cfg)


def test_it_is_refused_before_anything_is_written(cfg, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    cfg.stages[1].train_cfg = dict(dynamic_intervals=[(9, 1)])
    with pytest.raises(PlanError, match="dynamic_intervals"):
        train_protocol(cfg)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_config_without_one_has_nothing_to_check():
    check_train_cfg({})
