"""Hooks that leave weights alone change no stage's fingerprint, and leave the weights alone."""

import copy
from pathlib import Path

import mmengine.hooks
import mmpretrain.engine.hooks
import pytest
from mmengine.hooks import EMAHook, Hook, LoggerHook

from mmrbdc.engine.configs.deciding_hooks import LEAVE_WEIGHTS, deciding_defaults
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.hooks.wall_clock import WallClockHook
from mmrbdc.registry import HOOKS
from tests.engine.tiny_runs import differing, stage_run, staged, stages_of, train

ROOT = Path(__file__).parents[3]
PACKAGES = {"mmengine": mmengine.hooks, "mmpretrain": mmpretrain.engine.hooks}


class LookingOnHook(Hook):
    """A hook of somebody's own that says what it does."""

    leaves_weights = True


class DerivedHook(LookingOnHook):
    """It may do anything, and does."""

    def before_train(self, runner):
        for parameter in runner.model.parameters():
            parameter.data.mul_(0.5)


class NamedAlikeHook(Hook):
    """Of the name of one that is known, in another scope."""


@pytest.fixture(scope="module", autouse=True)
def _registered():
    own = {
        "LookingOnHook": LookingOnHook,
        "DerivedHook": DerivedHook,
        "IterTimerHook": NamedAlikeHook,
    }
    for name, hook in own.items():
        HOOKS.register_module(name=name, module=hook)
    yield
    for name in own:
        HOOKS.module_dict.pop(name)


@pytest.fixture
def cfg(images, tmp_path):
    return staged(images, tmp_path)


def hashes(cfg, *hooks, **defaults):
    cfg = copy.deepcopy(cfg)
    cfg.custom_hooks = list(hooks)
    cfg.default_hooks.update(defaults)
    return [setup.hash for setup in stages_of(cfg)[1]]


@pytest.mark.parametrize(
    "hook",
    [
        dict(type="IterTimerHook"),
        dict(type="mmengine.LoggerHook", interval=3),
        dict(type=LoggerHook),
        dict(type="VisualizationHook", enable=True),
        dict(type="mmrbdc.ThroughputHook"),
        dict(type=WallClockHook),
        dict(type="mmrbdc.LookingOnHook"),
        dict(type="LookingOnHook", _scope_="mmrbdc"),
    ],
    ids=str,
)
def test_a_hook_that_leaves_weights_alone_changes_no_hash(cfg, hook):
    assert hashes(cfg, hook) == hashes(cfg)
    ema = dict(type="EMAHook")
    assert hashes(cfg, ema, hook) == hashes(cfg, ema) != hashes(cfg)


@pytest.mark.parametrize(
    "hook",
    [
        dict(type="EMAHook"),
        dict(type=EMAHook),
        dict(type="EarlyStoppingHook", monitor="x"),
        dict(type="mmrbdc.StepSeedsHook"),
        dict(type="mmrbdc.DerivedHook"),
        dict(type="mmrbdc.IterTimerHook"),
        dict(type="NobodyKnowsHook"),
    ],
    ids=str,
)
def test_any_other_changes_every_hash(cfg, hook):
    """The twin."""
    assert all(a != b for a, b in zip(hashes(cfg, hook), hashes(cfg), strict=True))


@pytest.mark.parametrize(
    "hooks",
    [
        dict(logger=None, timer=None),
        dict(visualization=dict(type="VisualizationHook", enable=True)),
        dict(param_scheduler=dict(type="ParamSchedulerHook")),
        dict(sampler_seed=dict(type="mmengine.DistSamplerSeedHook")),
        dict(more=dict(type="RuntimeInfoHook")),
    ],
    ids=str,
)
def test_default_hooks_that_leave_weights_alone_change_none(cfg, hooks):
    assert hashes(cfg, **hooks) == hashes(cfg)


@pytest.mark.parametrize(
    "hooks",
    [
        dict(param_scheduler=None),
        dict(sampler_seed=None),
        dict(more=dict(type="EMAHook")),
        dict(param_scheduler=dict(type="mmrbdc.DerivedHook")),
    ],
    ids=str,
)
def test_other_default_hooks_change_every_hash(cfg, hooks):
    assert all(a != b for a, b in zip(hashes(cfg, **hooks), hashes(cfg), strict=True))


def test_the_shipped_hooks_are_no_part_of_a_fingerprint():
    """So that a hash is what it was before hooks were told apart."""
    hooks = load_config(ROOT / "configs" / "_base_" / "staged_runtime.py").default_hooks
    assert hooks.keys() >= {"checkpoint", "visualization"} and deciding_defaults(hooks) == {}


def test_the_hooks_of_other_packages_are_there():
    """An upstream rename fails here."""
    for package, names in LEAVE_WEIGHTS.items():
        for name in names:
            found = getattr(PACKAGES[package], name)
            assert found.__module__.startswith(f"{package}.") and found.__name__ == name


def test_the_weights_are_bit_for_bit_those_without(cfg):
    cfg.train_cfg.val_interval = 1
    cfg.visualizer = dict(type="UniversalVisualizer", vis_backends=[dict(type="LocalVisBackend")])
    more = copy.deepcopy(cfg)
    left_out = ("CheckpointHook", "NPUProfilerHook")  # of every run already; not for this machine
    more.custom_hooks = [
        dict(type=f"{package}.{name}", **({"enable": True} if name == "VisualizationHook" else {}))
        for package, names in LEAVE_WEIGHTS.items()
        for name in names
        if name not in left_out
    ]
    plain, watched = (train(stage_run(config)).model.state_dict() for config in (cfg, more))
    assert not differing(plain, watched)
    more.custom_hooks = [dict(type="mmrbdc.DerivedHook")]
    assert differing(plain, train(stage_run(more)).model.state_dict())  # the twin
