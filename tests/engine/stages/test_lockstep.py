"""A member trained in lockstep is the member trained alone, bit for bit.

20 steps of the real runner on a CPU, with Mixup or CutMix in every batch, drop-path, clipping,
AdamW with parameter groups, and BatchNorm in the ResNet.
"""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS
from mmengine.runner import Runner

from mmrbdc.seeding import seed_all
from tests.engine.tiny_runs import ADAMW, differing, one_stage, stage_run, train

pytestmark = pytest.mark.numeric

ITERS = 20
FAMILIES = ["deit", "resnet"]
MEMBERS = 4


@pytest.fixture(scope="module", params=FAMILIES)
def config(request, images, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp(request.param)
    length = dict(iters=ITERS)
    changes = dict(val_cfg=None, val_dataloader=None, val_evaluator=None)
    if request.param == "resnet":
        changes["optim_wrapper"] = dict(ADAMW, clip_grad=dict(max_norm=2.0))
    return one_stage(images, work_dir, request.param, MEMBERS, length, **changes)


def members_of(run):
    """The members' state dicts by index, after training."""
    model = train(run).model
    return {index: model.member_state_dict(i) for i, index in enumerate(model.indices)}


@pytest.fixture(scope="module")
def together(config):
    """Members 0, 1 and 3 of the stage, trained in lockstep."""
    return members_of(stage_run(config, [0, 1, 3]))


def test_the_members_learn_and_differ(config, together):
    start = MODELS.build(stage_run(config, [0, 1, 3]).model)
    start.init_weights()
    for i, index in enumerate((0, 1, 3)):
        moved = set(differing(start.member_state_dict(i), together[index]))
        assert moved >= {name for name, _ in start.members[i].named_parameters()}
        others = set(differing(together[index], together[(index + 1) % 2]))
        assert others >= {name for name, _ in start.members[i].named_parameters()}


@pytest.mark.parametrize("index", [0, 3])
def test_a_member_in_lockstep_is_the_member_alone(config, together, index):
    alone = members_of(stage_run(config, [index]))
    assert not differing(together[index], alone[index])


def test_a_member_is_a_plain_loop_over_mmpretrain_classifier(config, together):
    """Only the keys of the random draws, the batches and the learning rates are ours."""
    run = stage_run(config, [0, 1, 3])
    seed = run.model.seeds[1]
    lrs = learning_rates(run)
    seed_all("construction", seed)
    model = MODELS.build(run.model.member)
    seed_all("initialisation", seed)
    model.init_weights()
    optimizer = build_optim_wrapper(model, dict(ADAMW, clip_grad=None)).optimizer
    loader = Runner.build_dataloader(run.train_dataloader, seed=0)
    model.train()
    iteration, epoch = 0, 0
    while iteration < ITERS:
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            if iteration == ITERS:
                break
            for group in optimizer.param_groups:
                group["lr"] = lrs[iteration]
            seed_all("mixup", seed, iteration, 0)
            data = model.data_preprocessor(batch, training=True)
            seed_all("forward", seed, iteration, 0)
            loss, _ = model.parse_losses(model(**data, mode="loss"))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(
                model.parameters(), config.optim_wrapper.clip_grad.max_norm
            )
            optimizer.step()
            iteration += 1
        epoch += 1
    assert not differing(together[1], model.state_dict())


def learning_rates(run):
    """What the schedulers of the run give, iteration by iteration."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=ADAMW["optimizer"]["lr"])
    schedulers = [
        PARAM_SCHEDULERS.build(dict(s), default_args=dict(optimizer=optimizer))
        for s in run.param_scheduler
    ]
    lrs = []
    for _ in range(ITERS):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return lrs


@pytest.mark.parametrize("config", ["deit"], indirect=True)
def test_twin_one_norm_for_all_members_couples_them(config, together):
    run = stage_run(config, [0, 1, 3])
    run.optim_wrapper.type = "OptimWrapper"
    coupled = members_of(run)
    for index, state in coupled.items():
        assert differing(state, together[index])


@pytest.mark.parametrize("config", ["deit"], indirect=True)
def test_twin_one_mixup_for_all_members_changes_them(config, together):
    run = stage_run(config, [0, 1, 3])
    runner = Runner.from_cfg(run)
    preprocessor = runner.model.data_preprocessor
    preprocessor.seeds = [preprocessor.seeds[0]] * 3
    runner.train()
    assert not differing(runner.model.member_state_dict(0), together[0])
    for position, index in ((1, 1), (2, 3)):
        assert differing(runner.model.member_state_dict(position), together[index])


@pytest.mark.parametrize("config", ["deit"], indirect=True)
def test_lamb_couples_members_only_by_its_own_clipping(config):
    """MMPretrain's Lamb, as ResNet-50's recipe has it; the twin has the norm that it comes with."""
    config = copy.deepcopy(config)
    config.optim_wrapper.optimizer = dict(
        type="Lamb", lr=5e-3, weight_decay=0.02, max_grad_norm=1e30
    )
    apart, coupled = {}, {}
    for indices in ([0, 1], [1]):
        run = stage_run(config, indices)
        apart[len(indices)] = members_of(run)[1]
        run = stage_run(config, indices)
        run.optim_wrapper.pop("clip_grad")
        run.optim_wrapper.optimizer.max_grad_norm = 0.01
        coupled[len(indices)] = members_of(run)[1]
    assert not differing(apart[1], apart[2])
    assert differing(coupled[1], coupled[2])
