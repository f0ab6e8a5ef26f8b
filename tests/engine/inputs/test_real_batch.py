"""The real batch behind an optimizer step, and the learning rate that belongs to it."""

import pytest
from mmengine.runner import Runner

from mmrbdc.engine import launch
from mmrbdc.engine.inputs.real_batch import (
    batch_warnings,
    count_accumulated,
    data_warnings,
    real_batch,
)
from tests.engine.tiny_runs import BATCH, one_stage, stage_run


def config(images, tmp_path, accumulated=1, **scaling):
    cfg = one_stage(images, tmp_path, overrides=dict(epochs=1))
    cfg.optim_wrapper.accumulative_counts = accumulated
    cfg.auto_scale_lr = scaling
    return cfg


@pytest.mark.parametrize("accumulated", [1, 4])
def test_accumulated_batches_count(images, tmp_path, accumulated):
    assert real_batch(config(images, tmp_path, accumulated)) == BATCH * accumulated


def test_a_batch_that_the_learning_rate_is_not_for_is_told(images, tmp_path):
    (line,) = batch_warnings(config(images, tmp_path, 2, base_batch_size=64, enable=False))
    assert "16 samples" in line and "meant for 64" in line and "--auto-scale-lr" in line
    assert not batch_warnings(config(images, tmp_path, 8, base_batch_size=64))
    assert not batch_warnings(config(images, tmp_path, 2, base_batch_size=64, enable=True))
    assert not batch_warnings(config(images, tmp_path))


@pytest.mark.parametrize("accumulated", [1, 2])
def test_scaling_follows_the_real_batch(images, tmp_path, accumulated):
    cfg = config(images, tmp_path, accumulated, base_batch_size=32, enable=True)
    runner = Runner.from_cfg(stage_run(cfg))
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(wrapper, runner.auto_scale_lr)
    expected = cfg.optim_wrapper.optimizer.lr * BATCH * accumulated / 32
    assert wrapper.get_lr()["lr"][0] == pytest.approx(expected)


def test_accumulated_batches_are_counted_once(images, tmp_path):
    cfg = config(images, tmp_path, 4, base_batch_size=64, enable=True)
    for _ in range(2):
        count_accumulated(cfg)
        assert cfg.auto_scale_lr.base_batch_size == 16


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_run_that_is_no_protocol_scales_alike(images, tmp_path, by_hand):
    """A detector's run, say; and a stage's config.py, where the protocol has counted already."""
    scaling = dict(base_batch_size=32, enable=True)
    run = stage_run(config(images, tmp_path, 2, **(scaling if by_hand else {})))
    run.update(auto_scale_lr=run.auto_scale_lr if by_hand else scaling, log_level="INFO")
    launch.train(run)
    (log,) = tmp_path.rglob("*.log")
    assert "Scaling the original LR by 0.5" in log.read_text()  # 2 x 8 of 32


def test_a_run_that_is_no_protocol_tells_of_its_batch(images, tmp_path):
    run = stage_run(config(images, tmp_path, 2, base_batch_size=64, enable=False))
    launch.train(run)
    (log,) = tmp_path.rglob("*.log")
    assert "an optimizer step sees 16 samples" in log.read_text()


def test_a_data_set_of_another_size_is_told():
    assert not data_warnings(1000, None, 1) and not data_warnings(1000, 1000, 1)
    assert not data_warnings(1008, 1001, 8)
    (line,) = data_warnings(128, 1000, 1)
    assert "128 samples" in line and "says 1,000" in line
