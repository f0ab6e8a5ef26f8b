"""Iterations, samples and FLOPs of a plan."""

import json

import pytest

from mmrbdc.methods import parse_protocol
from mmrbdc.plan import Feed, PlanError, StageModel, make_plan

TINY = StageModel("tiny", 192, 5, 100, 300)
SMALL = StageModel("small", 384, 20, 400, 1200)
CFG = {
    "protocol": {"method": "rbdc", "family": "deit", "reference_epochs": 10},
    "stages": [
        {"members": 2, "width": 0.5, "epochs": 2.5},
        {"members": 1, "width": 1, "epochs": 4},
    ],
}


def plan_of(config=CFG, **changes):
    arguments = {"samples": 1000, "batch_size": 64, "reference_model": SMALL, **changes}
    return make_plan(parse_protocol(config, name="run"), [TINY, SMALL], **arguments)


def walk(samples, batch_size, drop_last, iters):
    """Samples in ``iters`` batches, counted batch by batch as a loader hands them out."""
    epoch = [batch_size] * (samples // batch_size)
    if samples % batch_size and not drop_last:
        epoch.append(samples % batch_size)
    return sum(epoch[i % len(epoch)] for i in range(iters))


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("samples", "batch_size"), [(1000, 64), (1024, 64), (65, 64), (64, 64)])
@pytest.mark.parametrize("iters", [0, 1, 15, 16, 17, 100])
def test_samples_are_those_a_loader_hands_out(samples, batch_size, drop_last, iters):
    feed = Feed(samples, batch_size, drop_last)
    assert feed.samples_in(iters) == walk(samples, batch_size, drop_last, iters)


def test_a_partial_epoch_is_whole_iterations_and_at_least_one():
    feed = Feed(1000, 64)
    assert feed.iters_per_epoch == 16
    assert feed.iters(2.5) == 40
    assert feed.iters(1e-6) == 1
    assert Feed(1000, 64, drop_last=True).iters_per_epoch == 15


def test_flops_count_every_member_and_every_processed_sample():
    plan = plan_of()
    narrow, wide = plan.rows
    assert narrow.name == "stage0_2x192" and wide.name == "stage1_1x384"
    assert (narrow.iters, narrow.samples) == (40, 2 * 1000 + 8 * 64)
    assert narrow.flops == 2 * narrow.samples * 300
    assert wide.flops == 4 * 1000 * 1200
    assert plan.total_flops == narrow.flops + wide.flops
    assert plan.reference.flops == 10 * 1000 * 1200
    assert plan.share == pytest.approx(narrow.share + wide.share)
    assert plan.total_flops != sum(row.flops // row.members for row in plan.rows), "one member only"


def test_iterations_and_epochs_name_the_same_stage():
    by_iters = {**CFG, "stages": [{"members": 2, "width": 0.5, "iters": 40}, CFG["stages"][1]]}
    assert plan_of(by_iters).rows == plan_of().rows
    assert plan_of(by_iters).rows[0].epochs == 2.5


def test_dict_is_json_and_the_same_for_the_same_plan():
    written = json.dumps(plan_of().to_dict())
    assert json.loads(written) == plan_of().to_dict()
    assert json.dumps(plan_of().to_dict()) == written
    assert plan_of(batch_size=32).to_dict() != plan_of().to_dict()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"samples": 10, "drop_last": True}, "no complete batch of 64"),
    ],
)
def test_refuses_data_that_make_no_epoch(changes, words):
    with pytest.raises(PlanError, match=words):
        plan_of(**changes)
