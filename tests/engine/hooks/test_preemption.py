"""SIGTERM saves in the middle of an epoch, and a resumed run does not notice."""

import os
import signal
from pathlib import Path

import pytest
import torch
from mmengine.hooks import EMAHook

from mmrbdc.datasets import ReplayableSampler
from mmrbdc.engine.hooks.checkpoint import newest_readable_checkpoint, numbered_checkpoints
from mmrbdc.engine.process import signals
from mmrbdc.engine.process.signals import EXIT_PREEMPTED, Preempted
from tests.engine.tiny_runs import ITERS_PER_EPOCH, differing, one_stage, stage_run, train

EMA = dict(type="EMAHook", momentum=0.3)
EPOCHS = 3


def config(images, work_dir, **optim):
    cfg = one_stage(images, work_dir, members=2, overrides=dict(epochs=EPOCHS))
    cfg.optim_wrapper.update(optim)
    cfg.custom_hooks = [EMA, dict(type="mmrbdc.PreemptionHook")]
    cfg.train_dataloader.num_workers = 1
    return cfg


def preempted(run, iteration, point="iter"):
    """Send SIGTERM when ``iteration`` iterations are done; return the newest checkpoint."""

    def watcher(where, runner):
        if where == point and runner.iter + (point == "iter") == iteration:
            os.kill(os.getpid(), signal.SIGTERM)

    with signals.listening(), pytest.raises(Preempted) as ended:
        train(run, watcher)
    assert ended.value.code == EXIT_PREEMPTED
    return newest_readable_checkpoint(Path(run.work_dir), None)


def resumed(run, checkpoint):
    """The end of a resumed run, and the iterations that it trained."""
    run = run.copy()
    run.load_from, run.resume = str(checkpoint), True
    run.experiment_name += "-resumed"
    trained = []
    runner = train(run, lambda where, r: trained.append(r.iter + 1) if where == "iter" else None)
    return weights(runner), trained


def weights(runner):
    """All tensors of the model and of its moving average."""
    average = next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model
    kept = {f"ema {name}": value for name, value in average.state_dict().items()}
    return {**runner.model.state_dict(), **kept}


@pytest.fixture(scope="module")
def unbroken(images, tmp_path_factory):
    return weights(train(stage_run(config(images, tmp_path_factory.mktemp("whole")))))


@pytest.mark.parametrize("iteration", [1, 2, 4])
def test_a_run_stopped_at_an_iteration_ends_as_if_it_never_was(
    images, tmp_path, unbroken, iteration
):
    run = stage_run(config(images, tmp_path))
    checkpoint = preempted(run, iteration)
    epoch, begun = divmod(iteration + 1, ITERS_PER_EPOCH)
    if not begun:  # saved before the epoch's end was noted
        epoch, begun = epoch - 1, ITERS_PER_EPOCH
    assert checkpoint.name == f"epoch_{epoch}_iter_{begun}.pth"
    state, trained = resumed(run, checkpoint)
    assert trained == list(range(iteration + 2, EPOCHS * ITERS_PER_EPOCH + 1))
    assert not differing(unbroken, state)


def test_twin_without_the_offset_an_epoch_begins_anew(images, tmp_path, unbroken, monkeypatch):
    run = stage_run(config(images, tmp_path))
    checkpoint = preempted(run, 1)
    monkeypatch.setattr(ReplayableSampler, "skip", lambda self, samples: None)
    state, _ = resumed(run, checkpoint)
    assert differing(unbroken, state)


def test_a_validation_whose_epoch_is_saved_is_given_up(images, tmp_path, unbroken):
    run = stage_run(config(images, tmp_path))
    checkpoint = preempted(run, ITERS_PER_EPOCH, point="epoch")
    assert checkpoint.name == "epoch_1.pth"
    state, trained = resumed(run, checkpoint)
    assert trained[0] == ITERS_PER_EPOCH + 1 and not differing(unbroken, state)


def test_gradients_are_never_saved_half_accumulated(images, tmp_path):
    """Two batches a step, three an epoch: the first epoch ends within a step."""
    whole = weights(train(stage_run(config(images, tmp_path / "a", accumulative_counts=2))))
    run = stage_run(config(images, tmp_path / "b", accumulative_counts=2))
    run.default_hooks.checkpoint.max_keep_ckpts = -1
    checkpoint = preempted(run, 4)
    assert checkpoint.name == "epoch_1_iter_3.pth"
    numbers = [number for number, _ in numbered_checkpoints(checkpoint.parent, "epoch_{}.pth")]
    assert numbers == [(1, 3), (1, 1)]
    for _, path in numbered_checkpoints(checkpoint.parent, "epoch_{}.pth"):
        state, _ = resumed(run, path)
        assert not differing(whole, state)


def test_the_newest_checkpoint_is_the_furthest(tmp_path):
    for name in ("epoch_2.pth", "epoch_2_iter_10.pth", "epoch_2_iter_9.pth", "epoch_1_iter_99.pth"):
        torch.save({}, tmp_path / name)
    names = [path.name for _, path in numbered_checkpoints(tmp_path, "epoch_{}.pth")]
    assert names == [
        "epoch_2_iter_10.pth",
        "epoch_2_iter_9.pth",
        "epoch_2.pth",
        "epoch_1_iter_99.pth",
    ]


def test_sigterm_is_listened_to_inside_only():
    before = signal.getsignal(signal.SIGTERM)
    with signals.listening():
        assert not signals.requested()
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.requested()
        with pytest.raises(Preempted):
            signals.stop_if_requested()
    assert signal.getsignal(signal.SIGTERM) is before
    with signals.listening():
        assert not signals.requested()
