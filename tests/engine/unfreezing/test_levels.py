"""Levels of an unfreezing, and the stages of a run."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DefaultScope

from mmrbdc.engine.optim.layer_decay import parameter_layers
from mmrbdc.engine.unfreezing.levels import Levels, Schedule
from mmrbdc.plan.flops import training_flops_per_sample
from mmrbdc.registry import MODELS

INTENDED = {
    12: {1: [0, 4, 8], 2: [0, 1, 4, 5, 8, 9], 3: [0, 1, 2, 4, 5, 6, 8, 9, 10], 4: [*range(12)]},
    4: {1: [0], 2: [0, 1], 3: [0, 1, 2], 4: [0, 1, 2, 3]},
}
"""What the paper says, by depth and level."""
RELEASED_LEVEL_2 = [0, 1, 4, 5, 8, 9, 10, 11]
"""Of 12 blocks by AutoProg-Zero's code, which finds 'blocks.1' in 'blocks.10.'."""


@pytest.mark.parametrize("depth", INTENDED)
def test_interleaved_levels_are_the_paper_s(depth):
    for level, blocks in INTENDED[depth].items():
        assert Levels().blocks(level, depth) == blocks
    if depth == 12:
        assert Levels().blocks(2, depth) != RELEASED_LEVEL_2


def test_dit_xl_trains_a_quarter_more_at_each_level():
    assert [len(Levels().blocks(u, 28)) for u in (1, 2, 3, 4)] == [7, 14, 21, 28]


@given(
    kind=st.sampled_from(["interleaved", "last"]),
    parts=st.integers(1, 9),
    more=st.integers(0, 20),
)
def test_levels_only_add_and_the_highest_is_everything(kind, parts, more):
    depth = parts + more
    levels = Levels(kind, parts)
    names = {"stem": 0, "head": depth + 1, **{f"block{i}": i + 1 for i in range(depth)}}
    before = set()
    for level in range(1, parts + 1):
        trained = levels.trained(level, names, depth + 1)
        assert before <= trained and "head" in trained
        assert ("stem" in trained) is (kind == "interleaved" or level == parts)
        assert len(trained - {"stem", "head"}) > len(before - {"stem", "head"})
        before = trained
    assert before == set(names)


def test_the_last_parts_first():
    levels = Levels("last", 4)
    assert [levels.blocks(u, 12)[0] for u in (1, 2, 3, 4)] == [9, 6, 3, 0]
    assert levels.blocks(1, 6) == [4, 5]


@pytest.mark.parametrize(
    ("total", "stages", "begins"),
    [(2400, 4, [0, 600, 1200, 1800]), (143, 4, [0, 35, 71, 107]), (60, 2, [0, 30])],
)
def test_stages_begin_where_the_published_code_begins_them(total, stages, begins):
    schedule = Schedule(tuple(range(1, stages + 1)), None, 4)
    assert schedule.iterations(total) == begins
    for stage, begin in enumerate(begins):
        assert schedule.stage(begin, total) == stage
        assert begin == 0 or schedule.stage(begin - 1, total) == stage - 1
    assert schedule.stage(total - 1, total) == stages - 1


def test_stages_of_lengths_of_one_s_own():
    schedule = Schedule((1, 4), (0, 0.75), 4)
    assert schedule.iterations(100) == [0, 75]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Levels("first"), "kind is 'first'; it is 'interleaved' or 'last'"),
        (lambda: Levels(parts=0), "parts are 0"),
        (lambda: Levels(parts=True), "parts are True"),
        (lambda: Schedule((), None, 4), "each is a number from 1 to 4"),
        (lambda: Schedule((1, 5), None, 4), "each is a number from 1 to 4"),
        (lambda: Schedule((1.0, 2), None, 4), "each is a number from 1 to 4"),
        (lambda: Schedule((2, 1), None, 4), "fall: what trains once is not frozen again"),
        (lambda: Schedule((1, 2), (0,), 4), "one share of the run for each"),
        (lambda: Schedule((1, 2), (0.1, 0.5), 4), "the first 0"),
        (lambda: Schedule((1, 2, 3), (0, 0.5, 0.5), 4), "rising"),
        (lambda: Schedule((1, 2), (0, 1.0), 4), "below 1, the run's end"),
        (lambda: Schedule((1, 2, 3, 4), None, 4).iterations(3), "some would have none"),
    ],
)
def test_what_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("kind", "shares"),
    [("interleaved", [0.773, 0.848, 0.924, 1]), ("last", [0.498, 0.662, 0.827, 1])],
)
def test_what_a_step_of_deit_s_costs_at_each_level(kind, shares):
    """Through spread levels gradients pass every block, so they save a quarter at most."""
    with DefaultScope.overwrite_default_scope("mmdet"):
        backbone = MODELS.build(dict(type="mmrbdc.DeiT", arch="deit-small", img_size=224))
    model = torch.nn.Module()
    model.backbone = backbone
    layers, top = parameter_layers(model)
    found = []
    for level in (1, 2, 3, 4):
        trained = Levels(kind).trained(level, layers, top)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in trained)
        found.append(training_flops_per_sample(backbone, torch.zeros(1, 3, 224, 224)))
    assert [one / found[-1] for one in found] == pytest.approx(shares, abs=1e-3)
