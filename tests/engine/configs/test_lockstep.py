"""``lockstep`` of a staged config: what it changes in a run, and that nothing else is."""

import copy
import importlib.util
import shutil

import pytest
import torch

from mmrbdc.engine.configs.fingerprint import differences
from mmrbdc.engine.configs.lockstep import lockstep_options
from mmrbdc.plan import PlanError
from tests.engine.tiny_runs import ADAMW, one_stage, stage_run, staged, stages_of, train

pytestmark = pytest.mark.numeric

NO_VALIDATION = dict(val_cfg=None, val_dataloader=None, val_evaluator=None)
SGD = dict(optimizer=dict(type="SGD", lr=0.01, momentum=0.9))
DEFAULTS = dict(compute="loop", channels_last=False)


def run_of(images, work_dir, family="deit", indices=None, iters=4, **changes):
    cfg = one_stage(images, work_dir, family, 4, dict(iters=iters), **NO_VALIDATION, **changes)
    return stage_run(cfg, indices)


def test_defaults_are_what_nothing_given_means(images, tmp_path):
    assert lockstep_options({}) == lockstep_options(dict(lockstep=dict())) == DEFAULTS
    old = dict(augmentation="shared")  # as earlier versions wrote into work dirs
    assert lockstep_options(dict(lockstep=old)) == DEFAULTS
    plain = run_of(images, tmp_path)
    told = run_of(images, tmp_path, lockstep=DEFAULTS)
    assert plain.model == told.model and plain.train_dataloader == told.train_dataloader
    assert "lockstep" not in told


@pytest.mark.parametrize(
    "given, message",
    [
        (dict(comput="loop"), "'comput'; did you mean 'compute'"),
        (dict(x=1), "'x'; known: 'compute', 'channels_last'"),
        (dict(compute="vmap"), "lockstep.compute is 'vmap'; it must be 'loop' or 'stacked'"),
        (dict(channels_last="yes"), "'yes'; it must be False or True"),
        (dict(augmentation="own"), "lockstep.augmentation='own': augmentations of each member's"),
    ],
)
def test_what_there_is_not_is_refused(given, message):
    with pytest.raises(PlanError) as error:
        lockstep_options(dict(lockstep=given))
    assert message in str(error.value)


@pytest.mark.parametrize("option", [dict(compute="stacked"), dict(channels_last=True)])
def test_every_option_is_in_the_fingerprint(images, tmp_path, option):
    """And may be one stage's own."""
    contents = [stages_of(staged(images, tmp_path))[1]]
    contents.append(stages_of(staged(images, tmp_path, lockstep=option))[1])
    assert contents[0][0].hash != contents[1][0].hash
    changed = differences(contents[0][0].content, contents[1][0].content)
    assert len(changed) == 1
    cfg = staged(images, tmp_path, lockstep={})
    cfg.stages[1].lockstep = option
    own = stages_of(cfg)[1]
    assert own[0].hash == contents[0][0].hash and own[1].hash != contents[0][1].hash


def without_drop_path(run):
    run.model.member.backbone.drop_path_rate = 0.0
    return run


def largest_difference(one, other):
    """Of all tensors, relative to each tensor's largest value, key biases left out.

    A key's bias has no true gradient, and Adam makes steps of its rounding noise.
    """
    pairs = [
        (one[name], other[name])
        for name in one
        if one[name].is_floating_point() and "qkv.bias" not in name
    ]
    return max(((a - b).abs().max() / a.abs().max().clamp(1e-2)).item() for a, b in pairs)


@pytest.mark.parametrize("family", ["deit", "resnet"])
def test_a_stacked_run_is_the_loops_up_to_rounding(images, tmp_path, family):
    runs = [
        without_drop_path(
            run_of(images, tmp_path, family, lockstep=dict(compute=c), optim_wrapper=SGD)
        )
        for c in ("loop", "stacked")
    ]
    states = [train(run, dtype=torch.float64).model.state_dict() for run in runs]
    assert largest_difference(*states) < 1e-10


def test_fused_adamw_gives_the_same_weights_up_to_rounding(images, tmp_path):
    states = []
    for fused in (False, True):
        optim = copy.deepcopy(ADAMW)
        optim["optimizer"].update(lr=1e-3, fused=fused)
        runner = train(run_of(images, tmp_path, optim_wrapper=optim), dtype=torch.float64)
        groups = runner.optim_wrapper.optimizer.param_groups
        assert len(groups) <= 4 and all(group["fused"] is fused for group in groups)
        states.append(runner.model.state_dict())
    assert largest_difference(*states) < 1e-10


@pytest.mark.parametrize(
    "backend",
    ["eager", pytest.param("inductor", marks=pytest.mark.slow)],
)
def test_mmengines_compile_entry_trains_siblings(images, tmp_path, backend):
    """Without drop-path, whose draws inductor makes otherwise, it is the plain run.

    By SGD: a compiled AdamW works out its bias corrections in float32.
    """
    if backend == "inductor" and not (importlib.util.find_spec("triton") or shutil.which("g++")):
        pytest.skip("no compiler")
    torch._dynamo.reset()
    compiled, plain = (
        without_drop_path(run_of(images, tmp_path, iters=3, optim_wrapper=SGD)) for _ in range(2)
    )
    compiled.compile = dict(backend=backend)
    state = train(compiled, dtype=torch.float64).model.state_dict()
    plain = train(plain, dtype=torch.float64).model.state_dict()
    assert largest_difference(plain, state) < 1e-10
