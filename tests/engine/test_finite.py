"""A loss that is no number ends the run, named."""

import pytest
import torch
from tiny_runs import one_stage, stage_run, train

from mmrbdc.engine.finite import NonFiniteLoss


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
