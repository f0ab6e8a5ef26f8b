"""What a log says of the time that is left."""

import datetime
import logging
import re
from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub

from mmrbdc.engine.hooks import progress
from mmrbdc.engine.hooks.progress import ProgressHook

ITERS = 400


@pytest.fixture
def lines(monkeypatch, caplog):
    """Runs a stage whose iterations take so many seconds; gives back what was logged."""

    def run(seconds, data_time=0.0, *, first=0, iters=ITERS):
        now = [1000.0]
        monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
        hub = MessageHub(f"progress{id(now)}")
        runner = SimpleNamespace(
            iter=first,
            max_iters=iters,
            logger=logging.getLogger("progress"),
            message_hub=hub,
            world_size=2,
            train_dataloader=SimpleNamespace(batch_size=32),
        )
        hook = ProgressHook(stage=0, stages=3, flops_before=0.0, flops=2.0, flops_after=6.0)
        hook.before_train(runner)
        for number in range(first, iters):
            now[0] += seconds(number - first)
            if data_time is not None:
                hub.update_scalar("train/data_time", data_time)
            runner.iter = number
            hook.after_train_iter(runner, number)
        return [record.message for record in caplog.records]

    caplog.set_level(logging.INFO)
    return run


def _seconds(words):
    hours, minutes, seconds = map(int, words.split(":"))
    return datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()


@pytest.mark.parametrize("first", [0, 100])
def test_a_forecast_at_the_start_of_a_stage(lines, first):
    """The first iterations, which compile and fill caches, are not in it."""
    said = lines(lambda number: 100.0 if number < 3 else 2.0, first=first)
    (forecast,) = [line for line in said if line.startswith("forecast")]
    assert said.index(forecast) == 0
    assert "32 images a second, 0% of the time" in forecast and "the model bounds it" in forecast
    stage, protocol = re.search(r"this stage (\S+), the protocol (\S+)", forecast).groups()
    left = (ITERS - first - 15) * 2
    assert _seconds(stage) == left and _seconds(protocol) == left + ITERS * 2 * 3


def test_a_stage_that_waits_for_its_images_says_so(lines):
    (forecast,) = [line for line in lines(lambda number: 2.0, 1.0) if "forecast" in line]
    assert "50% of the time" in forecast and "num_workers" in forecast


def test_without_a_timer_nothing_is_said_of_waiting(lines):
    (forecast,) = [line for line in lines(lambda number: 2.0, None) if "forecast" in line]
    assert "32 images a second | this stage" in forecast


def test_a_short_stage_has_its_first_line_soon(lines):
    said = lines(lambda number: 2.0, iters=60)
    assert said and not any("forecast" in line for line in said)
