"""A loss that is not finite ends the run, named."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmrbdc.engine import launch
from mmrbdc.engine.hooks.finite_loss import FiniteLossHook, NonFiniteLoss, on_host
from tests.engine.tiny_runs import ITERS_PER_EPOCH, MODELS, one_stage, stage_run, staged, train

_numbers = itertools.count()


def poisoned(images, tmp_path, value, hooks):
    """A run whose member 1 has a weight of ``value`` from its fifth iteration on."""
    cfg = one_stage(images, tmp_path, members=2, overrides=dict(epochs=3))
    cfg.custom_hooks = hooks
    run = stage_run(cfg)

    def poison(point, runner):
        if point == "iter" and runner.iter + 1 == 4:
            with torch.no_grad():
                runner.model.members[1].head.layers.head.bias[0] = value

    return run, poison


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_member_the_step_and_the_last_good_checkpoint_are_named(images, tmp_path, value):
    run, poison = poisoned(images, tmp_path, value, [dict(type="mmrbdc.FiniteLossHook")])
    with pytest.raises(NonFiniteLoss, match=r"member 1: loss is (nan|inf) at iteration 5") as found:
        train(run, poison)
    assert f"{run.work_dir}/epoch_1.pth" in str(found.value)
    assert (
        not torch.load(f"{run.work_dir}/epoch_1.pth", weights_only=True)["state_dict"][
            "members.1.head.layers.head.bias"
        ]
        .isnan()
        .any()
    )


def test_twin_without_the_hook_the_run_saves_what_is_no_number(images, tmp_path):
    run, poison = poisoned(images, tmp_path, float("nan"), [])
    model = train(run, poison).model
    assert any(tensor.isnan().any() for tensor in model.members[1].state_dict().values())
    assert not any(tensor.isnan().any() for tensor in model.members[0].state_dict().values())


def spoiled(images, tmp_path, limit, iterations):
    """A run in which member 1's gradient is NaN at some iterations (from 1)."""
    cfg = one_stage(images, tmp_path, members=2, overrides=dict(epochs=2))
    cfg.optim_wrapper.skip_nonfinite = limit
    cfg.custom_hooks = [dict(type="mmrbdc.FiniteLossHook")]
    run = stage_run(cfg)

    def hook(runner):
        parameter = next(runner.model.members[1].parameters())
        parameter.register_hook(
            lambda grad: grad * float("nan") if runner.iter + 1 in iterations else grad
        )

    return train(run, lambda point, runner: hook(runner) if point == "before_train" else None)


def test_a_step_that_is_no_number_is_left_out_for_its_member_alone(images, tmp_path):
    runner = spoiled(images, tmp_path / "a", 2, (2, 4))
    clean = spoiled(images, tmp_path / "b", 2, ())
    mine, other = runner.model.members, clean.model.members
    assert all(p.isfinite().all() for p in mine[1].parameters())
    for ours, theirs in zip(mine[0].parameters(), other[0].parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert runner.message_hub.get_info("skipped_steps_member1") == 2


def test_more_than_the_limit_stops_the_run(images, tmp_path):
    with pytest.raises(NonFiniteLoss, match="member 1: .* in 2 steps"):
        spoiled(images, tmp_path, 1, (2, 4))


@HOOKS.register_module()
class Spoil(Hook):
    """Makes a weight ``value`` at the end of iteration ``at``."""

    def __init__(self, at, value):
        self.at, self.value = at, value

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.at:
            with torch.no_grad():
                runner.model.head.layers.head.weight[0, 0] = self.value


def plain(images, place, at, value, checkpoint="CheckpointHook"):
    """Train a config that is not staged as tools/train.py does; no hook of it looks at losses."""
    cfg = staged(images, place)
    for key in ("protocol", "stages", "runner_type"):
        cfg.pop(key)
    cfg.work_dir = str(place)
    cfg.model = MODELS["deit"]
    for split in ("train", "val", "test"):
        collate = dict(type="default_collate")
        cfg[f"{split}_dataloader"].update(collate_fn=collate, persistent_workers=False)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=9)
    cfg.param_scheduler = None
    cfg.default_hooks = dict(checkpoint=dict(type=checkpoint, interval=1))
    cfg.custom_hooks = [dict(type="Spoil", at=at, value=value)]
    cfg.experiment_name = f"finite{next(_numbers)}"
    launch.train(launch.prepare_config(cfg))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_run_of_one_model_stops_too(images, tmp_path, value):
    """Every run that tools/train.py starts, whatever its config names."""
    at = ITERS_PER_EPOCH + 1
    with pytest.raises(NonFiniteLoss, match=rf"^loss is (nan|inf) at iteration {at + 1} \(epoch 2"):
        plain(images, tmp_path, at, value)
    assert [path.name for path in tmp_path.glob("*.pth")] == ["epoch_1.pth"]


@pytest.mark.parametrize("checkpoint", ["CheckpointHook", "mmrbdc.CheckpointHook"])
def test_weights_that_are_no_numbers_are_not_saved(images, tmp_path, checkpoint):
    """Of the last step before a checkpoint no loss was computed."""
    found = r"after 3 iterations, not written: head\.layers\.head\.weight has 1 NaN.*no checkpoint"
    with pytest.raises(NonFiniteLoss, match=found):
        plain(images, tmp_path, ITERS_PER_EPOCH, float("nan"), checkpoint)
    assert not list(tmp_path.rglob("*.pth*"))


def losses(*, scaler, outputs, times):
    """What a run of one model does at ``times`` such losses in a row."""
    wrapper = SimpleNamespace(loss_scaler=torch.amp.GradScaler("cpu", enabled=scaler))
    runner = SimpleNamespace(optim_wrapper=wrapper, iter=0, epoch=0, hooks=[])
    hook = FiniteLossHook()
    for _ in range(times):
        hook.after_train_iter(runner, 0, outputs=outputs)
    hook.after_train_iter(runner, 0, outputs=dict(loss=1.0))


WRONG = dict(acc=1.0, loss_bbox=torch.tensor(float("-inf")), loss=float("nan"))


def test_a_scaler_of_losses_may_leave_a_few_out():
    for times in (1, 19):
        losses(scaler=True, outputs=WRONG, times=times)
    with pytest.raises(NonFiniteLoss, match=r"loss_bbox is -inf at iteration 1 "):
        losses(scaler=True, outputs=WRONG, times=20)


def test_twin_without_one_the_first_stops():
    with pytest.raises(NonFiniteLoss, match="loss_bbox is -inf"):
        losses(scaler=False, outputs=WRONG, times=1)


def test_other_figures_may_be_no_numbers():
    """An accuracy among no positive boxes."""
    losses(scaler=False, outputs=dict(acc=float("nan"), loss_cls=0.5), times=1)


@pytest.mark.parametrize("hook", [True, False])
def test_norms_of_gradients_are_logged_with_the_losses(images, tmp_path, hook):
    """Twin: without the hook nobody takes them."""
    cfg = one_stage(images, tmp_path, members=2, overrides=dict(iters=ITERS_PER_EPOCH))
    run = stage_run(cfg)
    run.custom_hooks = [dict(type="mmrbdc.FiniteLossHook")] if hook else []
    scalars = train(run).message_hub.log_scalars
    for index in range(2):
        name = f"train/member{index}.grad_norm"
        assert (name in scalars) == hook
        if hook:
            norms = scalars[name].data[0]
            assert len(norms) == ITERS_PER_EPOCH and all(0 < norm < 100 for norm in norms)
            assert len(set(norms)) == ITERS_PER_EPOCH


def test_single_numbers_keep_their_values_and_others_are_left():
    numbers = dict(loss=torch.tensor([0.1], dtype=torch.float64), acc=torch.tensor(3), text="a")
    numbers["map"] = torch.ones(2)
    read = on_host(numbers)
    assert read["loss"].shape == () and read["loss"].item() == 0.1
    assert read["acc"].item() == 3 and read["text"] == "a" and read["map"] is numbers["map"]
