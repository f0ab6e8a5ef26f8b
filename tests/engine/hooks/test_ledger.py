"""What is charged is what was processed: samples times members times FLOPs a sample."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrbdc.engine import LedgerHook
from mmrbdc.plan import Price
from tests.engine.tiny_runs import (
    BATCH,
    ITERS_PER_EPOCH,
    load_json,
    one_stage,
    stage_run,
    stages_of,
    train,
)

BEFORE = 5e9


def ledger(cfg, members, flops_before=BEFORE):
    plan, setups = stages_of(cfg)
    return plan, dict(
        type="mmrbdc.LedgerHook",
        price=[[0, [setups[0].row.train_flops_per_sample] * members]],
        flops_before=flops_before,
    )


def run_with_ledger(images, work_dir, members=2, **length):
    cfg = one_stage(images, work_dir, members=members, overrides=length)
    plan, hook = ledger(cfg, members)
    run = stage_run(cfg)
    run.custom_hooks = [hook]
    return plan, run


def hook_of(runner, kind=LedgerHook) -> Hook:
    return next(hook for hook in runner.hooks if isinstance(hook, kind))


@pytest.mark.parametrize(
    "length, samples",
    [(dict(epochs=2), 40), (dict(iters=2), 16), (dict(iters=3), 20), (dict(epochs=7 / 3), 48)],
)
def test_the_ledger_agrees_with_the_plan(images, tmp_path, length, samples):
    """20 images in batches of 8: an epoch's last batch has 4, and the last epoch ends early."""
    plan, run = run_with_ledger(images, tmp_path, **length)
    hook = hook_of(train(run))
    assert hook.samples == samples == plan.rows[0].samples
    assert hook.stage_flops == plan.rows[0].flops
    assert hook.flops == BEFORE + plan.rows[0].flops
    if samples > 16:  # twin: full batches alone would be too much
        assert plan.rows[0].iters * BATCH > hook.samples


def test_members_are_charged_each(images, tmp_path):
    both = hook_of(train(run_with_ledger(images, tmp_path / "2", members=2, iters=2)[1]))
    narrow = both.stage_flops / both.samples / both.price.at(0)[0]
    assert narrow == 2


def test_every_validation_is_a_point_of_the_curve(images, tmp_path):
    _, run = run_with_ledger(images, tmp_path, epochs=7 / 3)
    hook = hook_of(train(run))
    curve = load_json(Path(run.work_dir) / "curve.json")
    assert [(point["epoch"], point["iter"]) for point in curve] == [(1, 3), (2, 6), (3, 7)]
    each = 2 * hook.price.at(0)[0]
    assert [point["flops"] for point in curve] == [BEFORE + n * each for n in (20, 40, 48)]
    assert all(len(point["members"]) == 2 and 0 <= point["top1"] <= 100 for point in curve)
    assert hook.last_validation == curve[-1]


def test_a_single_model_is_its_own_member(images, tmp_path):
    _, run = run_with_ledger(images, tmp_path, members=1, iters=1)
    train(run)
    (point,) = load_json(Path(run.work_dir) / "curve.json")
    assert point["members"] == [point["top1"]]


def test_the_count_is_in_the_log_and_in_the_checkpoint(images, tmp_path):
    _, run = run_with_ledger(images, tmp_path, epochs=1)
    run.default_hooks.logger.interval = 1
    hook = hook_of(train(run))
    checkpoint = torch.load(Path(run.work_dir) / "epoch_1.pth", weights_only=True)
    assert checkpoint["message_hub"]["runtime_info"]["ledger_samples"] == hook.samples
    (scalars,) = Path(run.work_dir).rglob("scalars.json")
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    logged = [line["TFLOPs"] for line in lines if "TFLOPs" in line]
    assert len(logged) == ITERS_PER_EPOCH
    assert logged[-1] == pytest.approx(hook.flops / 1e12)


def test_a_resumed_run_goes_on_counting_from_its_checkpoint(images, tmp_path):
    """Iterations after the checkpoint that were lost are not charged, and leave no points."""
    _, run = run_with_ledger(images, tmp_path, epochs=3)
    run.default_hooks.checkpoint.max_keep_ckpts = 5
    hook = hook_of(train(run))
    folder = Path(run.work_dir)
    whole = load_json(folder / "curve.json")
    lost = [dict(whole[0]), dict(whole[1], top1=-1.0), dict(whole[2], top1=-1.0)]
    (folder / "curve.json").write_text(json.dumps(lost))
    run.load_from, run.resume = str(folder / "epoch_1.pth"), True
    run.experiment_name += "-resumed"
    resumed = hook_of(train(run))
    assert resumed.samples == hook.samples == 60
    assert load_json(folder / "curve.json") == whole


def test_a_price_that_changes_on_the_way_is_charged_as_it_was(images, tmp_path):
    """One figure per member; from the second epoch on the first trains less; resumed too."""
    plan, run = run_with_ledger(images, tmp_path, epochs=3)
    changes = ((0, (7, 5)), (ITERS_PER_EPOCH, (2, 5)))
    run.custom_hooks[0].price = [[since, list(figures)] for since, figures in changes]
    run.custom_hooks[0].flops_once = [1000.0, 1.0]
    run.default_hooks.checkpoint.max_keep_ckpts = 5
    expected = Price(changes).spent(plan.feed, 3 * ITERS_PER_EPOCH)
    assert expected == (7 * 20 + 2 * 40, 5 * 60)
    for again in (False, True):
        hook = hook_of(train(run))
        assert hook.member_flops == [1000 + expected[0], 1 + expected[1]]
        assert hook.stage_flops == sum(hook.member_flops)
        run.load_from, run.resume = str(Path(run.work_dir) / "epoch_1.pth"), True
        run.experiment_name += f"-resumed{again}"


def test_a_second_run_of_a_process_starts_from_nothing(images, tmp_path):
    """Even in the same second, when MMEngine gives both runs one message hub."""
    _, run = run_with_ledger(images, tmp_path, iters=2)
    hooks = []
    for number in range(2):
        run.work_dir = str(tmp_path / str(number))
        runner = Runner.from_cfg(run)
        runner.message_hub.update_info("ledger_samples", 1000)
        runner.train()
        hooks.append(hook_of(runner))
    assert [hook.samples for hook in hooks] == [16, 16]
