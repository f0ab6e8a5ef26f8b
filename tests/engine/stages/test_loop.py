"""A stage's length is in iterations; epochs, validations and checkpoints fall where they should."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.engine.tiny_runs import ITERS_PER_EPOCH, one_stage, stage_run, train


def events(images, work_dir, epochs=None, iters=None, **train_cfg):
    """What happened in a run: ('iter', 3), ('epoch', 1), ('val', 1) and so on, and its runner."""
    length = dict(epochs=epochs) if iters is None else dict(iters=iters)
    settings = dict(by_epoch=True, max_epochs=10, val_interval=1) | train_cfg
    cfg = one_stage(images, work_dir, overrides=length, train_cfg=settings)
    return watched(stage_run(cfg))


def watched(run):
    seen = []

    def watch(point, runner):
        if point == "iter":
            seen.append((point, runner.iter + 1))
        elif point == "epoch":
            seen.append((point, runner.epoch + 1))
        elif point == "val":
            seen.append((point, runner.epoch))

    runner = train(run, watch)
    return seen, runner


def only(seen, point):
    return [number for name, number in seen if name == point]


@pytest.mark.parametrize(
    "epochs, iters, ends",
    [(1, 3, [1]), (2, 6, [1, 2]), (7 / 3, 7, [1, 2, 3]), (1 / 3, 1, [1]), (0.1, 1, [1])],
)
def test_the_last_epoch_may_be_a_part_of_one(images, tmp_path, epochs, iters, ends):
    seen, runner = events(images, tmp_path, epochs)
    assert only(seen, "iter") == list(range(1, iters + 1))
    assert only(seen, "epoch") == ends
    assert (runner.iter, runner.max_iters) == (iters, iters)
    assert (runner.epoch, runner.max_epochs) == (len(ends), len(ends))
    assert seen[-1] == ("val", len(ends))
    checkpoint = torch.load(Path(runner.work_dir) / f"epoch_{len(ends)}.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == iters


def test_a_length_in_iterations_is_that_length(images, tmp_path):
    seen, _ = events(images, tmp_path, iters=4)
    assert only(seen, "iter") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "settings, validated",
    [
        (dict(), [1, 2, 3, 4, 5]),
        (dict(val_interval=2), [2, 4, 5]),
        (dict(val_interval=9), [5]),
        (dict(val_begin=3), [3, 4, 5]),
        (dict(val_begin=4, val_interval=3), [5]),
    ],
)
def test_validation_is_due_as_the_config_says_and_at_the_end(images, tmp_path, settings, validated):
    seen, _ = events(images, tmp_path, epochs=13 / 3, **settings)
    assert only(seen, "val") == validated


def test_a_run_without_validation(images, tmp_path):
    cfg = one_stage(images, tmp_path, overrides=dict(epochs=1))
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    seen, _ = watched(stage_run(cfg))
    assert not only(seen, "val")


def resumed(run, epoch, folder):
    """The run's config resumed from one epoch's checkpoint, in a folder of its own."""
    run = run.copy()
    source = Path(run.work_dir) / f"epoch_{epoch}.pth"
    folder.mkdir()
    run.load_from = str(shutil.copy(source, folder))
    run.resume, run.work_dir = True, str(folder)
    run.experiment_name = f"{run.experiment_name}-{epoch}"
    return run


def test_a_resumed_run_validates_the_epoch_that_was_due_and_goes_on(images, tmp_path):
    cfg = one_stage(
        images,
        tmp_path,
        overrides=dict(epochs=10 / 3),
        train_cfg=dict(max_epochs=10, val_interval=2),
    )
    cfg.default_hooks.checkpoint.max_keep_ckpts = 5
    run = stage_run(cfg)
    whole, _ = watched(run)
    for epoch in (1, 2, 3, 4):
        seen, runner = watched(resumed(run, epoch, tmp_path / f"from{epoch}"))
        cut = whole.index(("epoch", epoch)) + 1
        assert seen == whole[cut:]
        assert runner.iter == 10 and runner.epoch == 4
    assert seen == [("val", 4)]


def test_twin_mmengines_loop_forgets_the_validation_that_was_due(images, tmp_path):
    cfg = one_stage(images, tmp_path, overrides=dict(epochs=3))
    run = stage_run(cfg)
    run.train_cfg = dict(by_epoch=True, max_epochs=3, val_interval=1)
    whole, _ = watched(run)
    seen, _ = watched(resumed(run, 2, tmp_path / "from2"))
    assert ("val", 2) in whole and ("val", 2) not in seen
    assert len(only(seen, "iter")) == ITERS_PER_EPOCH


def test_a_run_ends_early_when_a_hook_says_so(images, tmp_path):
    """As MMEngine's EarlyStoppingHook does."""
    run = stage_run(one_stage(images, tmp_path, overrides=dict(epochs=5)))

    def stop(point, runner):
        if point == "val":
            runner.train_loop.stop_training = True

    assert train(run, stop).epoch == 1
