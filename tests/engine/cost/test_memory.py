"""The memory of a training step, forecast without taking it, against what a real step takes."""

import gc
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmrbdc.engine.cost.memory import fake_images, step_memory
from mmrbdc.registry import MODELS
from tests.fake_cuda import runs_of

CONFIGS = Path(__file__).parents[3] / "configs"
BATCH = 64

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore:pkg_resources")]


def taken(run, size, folder, batch=BATCH, amp=False):
    """Bytes at the peak of two real steps of a stage's run."""
    return peak_of_steps(run.model, lambda: fake_images(size, batch), folder, amp=amp)


def peak_of_steps(config, images, folder, *, scope="mmpretrain", amp=False):
    """Bytes that the allocator gave at the peak of two real steps with AdamW, from the model's
    construction on; ``images`` makes a batch as a loader gives it.
    """
    gc.collect()  # what other tests left would be counted when it goes
    cpu = torch.profiler.ProfilerActivity.CPU
    with (
        DefaultScope.overwrite_default_scope(scope),
        torch.profiler.profile(activities=[cpu], profile_memory=True) as profiler,
    ):
        model = MODELS.build(config)
        model.train()
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
        for _ in range(2):
            data = model.data_preprocessor(images(), training=True)
            with torch.autocast("cpu", torch.bfloat16, amp):
                loss, _ = model.parse_losses(model(**data, mode="loss"))
            del data
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    path = folder / "trace.json"
    profiler.export_chrome_trace(str(path))
    events = [e for e in json.loads(path.read_text())["traceEvents"] if e.get("name") == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event["ts"]):
        held += event["args"]["Bytes"]
        peak = max(peak, held)
    return peak


def shipped(name):
    return runs_of(Config.fromfile(CONFIGS / name))


@pytest.mark.parametrize("amp", [False, True])
def test_one_model(tmp_path, amp):
    (row, run) = shipped("rbdc/deit-mini_2step_cifar10.py")[-1]
    found = step_memory(run, row.img_size, BATCH, amp=amp)
    assert found.peak == pytest.approx(taken(run, row.img_size, tmp_path, amp=amp), rel=0.05)


def test_members_in_lockstep_and_frozen_parts(tmp_path):
    """The batch is one for all members, and counted with each."""
    for name, number in (("rbdc/deit-mini_2step", 0), ("incubation/deit-mini", 1)):
        row, run = shipped(f"{name}_cifar10.py")[number]
        assert len(run.model.seeds) > 1
        found = step_memory(run, row.img_size, BATCH).peak
        assert found == pytest.approx(taken(run, row.img_size, tmp_path), rel=0.1)


def test_a_resnets_convolutions_have_workspaces_besides(tmp_path):
    row, run = shipped("rbdc/resnet-mini_2step_cifar10.py")[-1]
    found = step_memory(run, row.img_size, BATCH).peak
    assert 0.7 < found / taken(run, row.img_size, tmp_path) < 1.05


def test_twin_another_batch_is_not_it(tmp_path):
    row, run = shipped("rbdc/deit-mini_2step_cifar10.py")[-1]
    found = step_memory(run, row.img_size, BATCH // 2).peak
    assert found < 0.7 * taken(run, row.img_size, tmp_path)


def test_what_each_part_is():
    row, run = shipped("rbdc/deit-micro_2step_digits.py")[-1]
    alone = step_memory(run, row.img_size, 8)
    assert alone.weights >= alone.gradients == 4 * row.params and alone.optimizer == 8 * row.params
    assert alone.buckets == alone.average == 0 and not alone.accumulates
    together = step_memory(run, row.img_size, 8, processes=2, average=True)
    assert together.peak - alone.peak == together.buckets + together.average
    assert together.buckets == alone.gradients and together.average == alone.weights
    run.optim_wrapper.accumulative_counts = 2
    assert step_memory(run, row.img_size, 8).peak > alone.peak


def test_frozen_parts_have_no_gradient():
    (row, run) = shipped("incubation/deit-micro_digits.py")[1]
    found = step_memory(run, row.img_size, 8)
    assert 0 < found.gradients < 0.7 * found.weights and found.optimizer == 2 * found.gradients


def test_the_largest_batch_is_the_largest_that_fits():
    row, run = shipped("rbdc/deit-micro_2step_digits.py")[-1]
    found = step_memory(run, row.img_size, 8)
    available = 4 * found.peak
    largest = found.largest_batch(available)
    assert step_memory(run, row.img_size, largest).peak <= 1.01 * available
    assert step_memory(run, row.img_size, largest + 4).peak > available
    assert found.largest_batch(found.weights) == 0
