"""How long a stage takes, from a few steps, against stages that were trained."""

import itertools
import time

import pytest

from mmrbdc.engine.stages.speed import StageSpeed, measure_stage
from mmrbdc.engine.stages.stage_setup import plan_on_data, stage_runs
from mmrbdc.methods import parse_protocol
from tests.engine.tiny_runs import one_stage, stage_run, train

SPEED = StageSpeed("stage0", 100, 64, 256, 2, step_s=0.1, load_s=0.05)


def test_hours_follow_from_the_planned_images():
    assert SPEED.hours(1) == pytest.approx(100 * 4 * 0.1 / 3600)
    assert SPEED.hours(4) == pytest.approx(SPEED.hours(1) / 4)
    assert SPEED.bound == "compute" and SPEED.images_needed == pytest.approx(640)
    assert SPEED.workers_needed == 1


def test_the_slower_of_loading_and_training_counts_and_both_without_workers():
    slow = StageSpeed("stage0", 100, 64, 64, 2, step_s=0.1, load_s=0.35)
    assert slow.bound == "loading" and slow.hours(1) == pytest.approx(100 * 0.35 / 3600)
    assert slow.workers_needed == 7
    alone = StageSpeed("stage0", 100, 64, 64, 0, step_s=0.1, load_s=0.35)
    assert alone.hours(1) == pytest.approx(100 * 0.45 / 3600)
    assert alone.workers_needed == 4


@pytest.mark.parametrize("family", ["deit", "resnet"])
def test_a_stage_takes_about_as_long(images, tmp_path, family):
    """Within a factor: machines have other work."""
    cfg = one_stage(images, tmp_path, family, 2, dict(iters=30))
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    plan = plan_on_data(cfg, parse_protocol(cfg, name="tiny"))
    row, _, run = next(stage_runs(cfg, plan, seed=0))
    found = measure_stage(row.name, run, row.iters, plan.feed.batch_size, steps=8)
    assert (found.name, found.iters, found.batch, found.workers) == (row.name, 30, 8, 0)
    clock = itertools.count()
    times = {}

    def watch(point, runner):
        if point == "iter" and runner.iter in (4, 29):
            times[next(clock)] = time.perf_counter()

    train(stage_run(cfg), watch)
    assert 1 / 4 < 3600 * found.hours(1) / 30 / ((times[1] - times[0]) / 25) < 4
