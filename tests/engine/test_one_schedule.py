"""Learning rates of a whole run: one schedule over all stages, or a warm-up of a stage's own."""

import copy
from itertools import pairwise

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmrbdc.plan import PlanError
from tests.engine.tiny_runs import ITERS_PER_EPOCH, staged, stages_of, train_protocol

pytestmark = pytest.mark.numeric
RATES = []


@HOOKS.register_module(force=True)
class NoteRates(Hook):
    """Keeps the rate of every iteration."""

    priority = "VERY_HIGH"

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        RATES.append(runner.optim_wrapper.get_lr()["lr"][0])


def protocol(images, work_dir, stages, method="rbdc", **settings):
    cfg = staged(images, work_dir, val_dataloader=None, val_cfg=None, val_evaluator=None)
    cfg.protocol = dict(method=method, family="deit", reference_epochs=10, **settings)
    cfg.stages = copy.deepcopy(stages)
    cfg.custom_hooks = [dict(type="NoteRates")]
    return cfg


def rates(cfg, **how):
    RATES.clear()
    train_protocol(cfg, **how)
    return list(RATES)


TWO = [dict(members=2, width="1/2", iters=8), dict(members=1, width=1, iters=22)]
WHOLE = [dict(members=1, width=1, iters=30)]


def test_one_schedule_over_the_epochs_is_that_of_one_run(images, tmp_path):
    one = rates(protocol(images, tmp_path / "one/tiny", WHOLE, "scratch"))
    parts = rates(protocol(images, tmp_path / "two/tiny", TWO, schedule="epochs"))
    assert len(one) == len(parts) == 30
    assert parts == pytest.approx(one, rel=1e-9)
    # The twin: a schedule of its own warms up again.
    own = rates(protocol(images, tmp_path / "own/tiny", TWO))
    assert own[8] < 0.5 * parts[8] and own[8:] != pytest.approx(one[8:], rel=0.1)


def test_one_schedule_over_the_flops(images, tmp_path):
    """The narrow stage takes less of the schedule than of the epochs; it goes on where it ended."""
    cfg = protocol(images, tmp_path / "tiny", TWO, schedule="flops")
    plan = stages_of(cfg)[0]
    part = plan.part_of(1)
    assert part.begin == plan.rows[0].flops / plan.total_flops < 8 / 30
    assert part.iters == round(22 / (1 - part.begin))
    assert part.first_iters == round(8 / part.begin)
    parts = rates(cfg)
    steps = [abs(a - b) for a, b in pairwise(parts[5:])]
    assert parts[-1] < 0.1 * max(parts) and max(steps) < 0.3 * max(parts)


def test_a_cheap_first_stage_does_not_warm_up_twice(images, tmp_path):
    """A stage of a sixth of the price, shorter than the warm-up would be at the next one's."""
    stages = [dict(members=1, width="1/4", iters=6), dict(members=1, width=1, iters=30)]
    cfg = protocol(images, tmp_path / "tiny", stages, "net2net", schedule="flops")
    found = rates(cfg)
    peak = found.index(max(found))
    assert peak < 6 and all(a >= b for a, b in pairwise(found[peak:]))


def test_a_resumed_run_does_not_step_again(images, tmp_path):
    cfg = protocol(images, tmp_path / "tiny", TWO, schedule="epochs")
    whole = rates(cfg)
    stage = stages_of(cfg)[1][1].folder
    for name in ("cost.json", "members/0.pth", f"epoch_{-(-22 // ITERS_PER_EPOCH)}.pth"):
        (stage / name).unlink()
    again = rates(cfg, resume=True)
    assert 0 < len(again) < 22
    assert again == pytest.approx(whole[-len(again) :], rel=1e-9)


def test_a_stage_has_a_warm_up_of_its_own(images, tmp_path):
    stages = [dict(TWO[0], warmup=0), dict(TWO[1], warmup=4)]
    found = rates(protocol(images, tmp_path / "tiny", stages, warmup=1))
    peak = max(found)
    assert found[0] == pytest.approx(peak)  # none in the first stage
    assert found[8 + 4 * ITERS_PER_EPOCH - 2] < peak == pytest.approx(max(found[8:]))
    other = rates(protocol(images, tmp_path / "other/tiny", TWO, warmup=1))
    assert other[8 + ITERS_PER_EPOCH] == pytest.approx(peak, rel=0.02)


@pytest.mark.parametrize(
    "settings, stage, words",
    [
        (dict(schedule="run"), {}, "protocol.schedule is 'run'"),
        (dict(schedule="epochs", warmup=1), {}, "protocol.warmup is set, but protocol.schedule"),
        (dict(schedule="flops"), dict(warmup=1), r"stages\[1\].warmup is set, but"),
        ({}, dict(warmup=-1), r"stages\[1\].warmup"),
    ],
)
def test_what_does_not_go_together(images, tmp_path, settings, stage, words):
    stages = [TWO[0], dict(TWO[1], **stage)]
    with pytest.raises(PlanError, match=words):
        train_protocol(Config(protocol(images, tmp_path / "tiny", stages, **settings).to_dict()))
