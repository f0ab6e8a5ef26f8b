"""Few parameter groups, clipping that never couples members, bf16 without a scaler."""

import copy
import itertools

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS

from mmrbdc.engine import SiblingsOptimWrapper
from mmrbdc.models import Siblings
from tests.engine.tiny_runs import ADAMW, differing, one_stage, stage_run, train

pytestmark = pytest.mark.numeric

LR = ADAMW["optimizer"]["lr"]
DECAY = ADAMW["optimizer"]["weight_decay"]


@pytest.fixture(scope="module", params=["deit", "resnet"])
def run(request, images, tmp_path_factory):
    """The config of two members' run."""
    work_dir = tmp_path_factory.mktemp("optim")
    custom = {
        ".cls_token": dict(decay_mult=0.0),
        ".pos_embed": dict(decay_mult=0.0),
        "head": dict(lr_mult=0.1),
    }
    optim = dict(ADAMW, paramwise_cfg=dict(ADAMW["paramwise_cfg"], custom_keys=custom))
    cfg = one_stage(images, work_dir, request.param, 2, dict(iters=4), optim_wrapper=optim)
    return stage_run(cfg)


def build(run, **changes):
    """A model and its optimizer wrapper, with some keys of ``optim_wrapper`` changed."""
    model = MODELS.build(run.model)
    model.init_weights()
    config = {**copy.deepcopy(run.optim_wrapper.to_dict()), **changes}
    return model, build_optim_wrapper(model, config)


def options(model, wrapper):
    """Name -> (lr, weight decay) as the optimizer holds them."""
    names = {id(p): name for name, p in model.named_parameters()}
    found = {}
    for group in wrapper.optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            assert name not in found
            found[name] = (group["lr"], group["weight_decay"])
    return found


def test_every_parameter_keeps_its_options(run):
    model, merged = build(run)
    ours = options(model, merged)
    theirs = options(*build(run, constructor="DefaultOptimWrapperConstructor"))
    assert ours == theirs
    assert ours.keys() == dict(model.named_parameters()).keys()
    first, second = (
        {name[10:]: o for name, o in ours.items() if name.startswith(f"members.{i}.")}
        for i in range(2)
    )
    assert first == second
    assert set(ours.values()) >= {(LR, DECAY), (LR, 0.0), (0.1 * LR, DECAY)}
    assert ours.get("members.1.backbone.pos_embed", (LR, 0.0)) == (LR, 0.0)


def test_groups_are_few(run):
    _, merged = build(run)
    model, stock = build(run, constructor="DefaultOptimWrapperConstructor")
    assert len(stock.optimizer.param_groups) == len(list(model.parameters()))
    assert len(merged.optimizer.param_groups) <= 4


def stepped(run, **changes):
    """The model after two steps along random gradients, the same in every call."""
    model, wrapper = build(run, **changes)
    torch.manual_seed(0)
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        wrapper.optimizer.step()
    return model.state_dict()


def test_a_step_is_the_stock_constructors(run):
    assert not differing(stepped(run), stepped(run, constructor="DefaultOptimWrapperConstructor"))


def test_twin_one_group_for_all_is_another_step(run):
    assert differing(stepped(run), stepped(run, paramwise_cfg=None))


def gradients_after_clipping(run, scale, **changes):
    """Norms of the members' gradients after clipping to 1, member 1's ``scale`` times larger."""
    model, wrapper = build(run, clip_grad=dict(max_norm=1.0), **changes)
    model.double()
    wrapper.initialize_count_status(model, 0, 1)
    for factor, member in zip((1.0, scale), model.members, strict=True):
        for parameter in member.parameters():
            parameter.grad = factor * torch.ones_like(parameter)
    wrapper._clip_grad()
    return [
        torch.stack([p.grad.norm() for p in member.parameters()]).norm().item()
        for member in model.members
    ]


def test_a_member_is_clipped_by_its_own_norm(run):
    for scale in (1.0, 1000.0):
        assert gradients_after_clipping(run, scale) == pytest.approx([1.0, 1.0], rel=1e-5)
    assert gradients_after_clipping(run, 1e-6)[1] < 0.1  # a small one is left alone


def test_twin_a_common_norm_lets_the_large_one_silence_the_small(run):
    norms = gradients_after_clipping(run, 1000.0, type="OptimWrapper")
    assert norms[0] < 0.01 and norms[1] == pytest.approx(1.0, rel=1e-5)


def test_other_models_are_refused():
    model = torch.nn.Linear(2, 2)
    wrapper = SiblingsOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="mmrbdc.Siblings, got Linear"):
        wrapper.initialize_count_status(model, 0, 1)


def test_float16_is_refused():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    with pytest.raises(ValueError, match="'bfloat16' or None, got 'float16'"):
        SiblingsOptimWrapper(optimizer, autocast_dtype="float16")


def test_bfloat16_runs_the_forward_pass_in_bfloat16(run):
    model, wrapper = build(run, autocast_dtype="bfloat16")
    seen = []
    layer = next(m for m in model.modules() if isinstance(m, torch.nn.Conv2d))
    layer.register_forward_hook(lambda *call: seen.append(call[-1].dtype))
    for context in (wrapper.optim_context(model), build(run)[1].optim_context(model)):
        with context:
            model(torch.zeros(2, 3, 16, 16), mode="tensor")
    assert seen == [torch.bfloat16, torch.float32]
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_gradients_add_up_over_several_batches(images, tmp_path):
    """``accumulative_counts``: the weights move at every second iteration, and at the last."""
    weights = []

    def watch(point, runner):
        if point != "epoch":
            weights.append(copy.deepcopy(runner.model.member_state_dict(0)))

    optim = dict(ADAMW, accumulative_counts=2)
    cfg = one_stage(images, tmp_path, members=2, overrides=dict(iters=5), optim_wrapper=optim)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    runner = train(stage_run(cfg), watch)
    assert isinstance(runner.model, Siblings)
    moved = [bool(differing(a, b)) for a, b in itertools.pairwise(weights)]
    assert moved == [False, True, False, True, True]
