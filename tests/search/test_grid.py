"""Depths, image sizes and ramps of the stages, against numbers of AutoProg's released code.

Facts from running ``progressive_schedule`` and ``make_divisible`` (prog/progressive.py) of
github.com/changlin31/AutoProg at e7ecc98. Its split of a VOLO's blocks has no counterpart here.
"""

import re
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrbdc.search.errors import SearchError
from mmrbdc.search.grid import (
    Grid,
    begins,
    even_depths,
    even_sizes,
    grid,
    magnitude,
    near_multiple,
    share,
)

THIRDS = (0, 1 / 3, 2 / 3, 1)
SCHEDULES = [
    # epochs, full depth, scale; begins, image sizes of 224, depths, magnitudes of 9 from 0.5, ramp
    (100, 18, 0.5, (0, 25, 50, 75), (128, 160, 192, 224), (9, 12, 15, 18), (4, 6, 7, 9), THIRDS),
    (300, 12, 0.4, (0, 75, 150, 225), (96, 128, 192, 224), (5, 7, 10, 12), (4, 6, 7, 9), THIRDS),
    (300, 24, 0.5, (0, 75, 150, 225), (128, 160, 192, 224), (12, 16, 20, 24), (4, 6, 7, 9), THIRDS),
    (90, 12, 0.5, (0, 30, 60), (128, 160, 224), (6, 9, 12), (4, 7, 9), (0, 0.5, 1)),
    (7, 12, 0.5, (0, 1, 3, 5), (128, 160, 192, 224), (6, 8, 10, 12), (4, 6, 7, 9), THIRDS),
]
RAMPS = [  # full value, of four stages
    (0.1, (0.0, 0.03333333333333333, 0.06666666666666667, 0.1)),  # drop-path
    (0.2, (0.0, 0.06666666666666667, 0.13333333333333333, 0.2)),
    (0.25, (0.0, 0.08333333333333333, 0.16666666666666666, 0.25)),  # random erasing
]
VALUES = (0.4, 1.5, 7.2, 33.3, 112.0, 149.333, 186.667)
NEAR = {  # multiple: what is near each of the values
    1: (1, 2, 7, 33, 112, 149, 187),
    2: (2, 2, 8, 34, 112, 150, 186),
    8: (8, 8, 8, 32, 112, 152, 184),
    16: (16, 16, 16, 32, 112, 144, 192),
    32: (32, 32, 32, 32, 128, 160, 192),
}


@pytest.mark.parametrize("case", SCHEDULES, ids=lambda case: f"{case[1]} blocks, {case[0]} epochs")
def test_schedules(case):
    epochs, full, scale, starts, sizes, depths, magnitudes, ramp = case
    stages = len(starts)
    assert begins(epochs, stages) == starts
    assert even_sizes(224, stages, scale, 32) == sizes
    assert even_depths(full, stages, scale) == depths
    assert tuple(magnitude(9, share(i, stages, 0.5)) for i in range(stages)) == magnitudes
    assert [share(i, stages, 0.0) for i in range(stages)] == pytest.approx(ramp, rel=1e-12)


@pytest.mark.parametrize(("full", "values"), RAMPS)
def test_drop_path_and_erasing_ramp_from_nothing(full, values):
    assert [full * share(i, 4, 0.0) for i in range(4)] == pytest.approx(values, rel=1e-12)
    assert [full * share(i, 4, 0.5) for i in range(4)] != pytest.approx(values, rel=1e-2)


def test_near_multiples():
    found = {m: tuple(near_multiple(value, m) for value in VALUES) for m in NEAR}
    assert found == NEAR


def test_twin_rounding_down_or_without_the_90_percent_rule():
    """36 px are 32, which is below 90 % of them."""
    assert NEAR[32] != tuple(max(32, floor(value / 32) * 32) for value in VALUES)
    assert near_multiple(35, 32) == 32 and near_multiple(36, 32) == 64
    assert max(32, floor((36 + 16) / 32) * 32) == 32


def test_a_grid_is_what_it_is_made_of():
    made = grid(12, 224, 4, 0.5, 0.5, 32)
    assert made == Grid((6, 8, 10, 12), (128, 160, 192, 224)) and made.stages == 4
    assert grid(8, 192, 5, 0.5, 0.5, 32) == Grid((4, 5, 6, 7, 8), (96, 128, 160, 160, 192))
    assert grid(4, 32, 4, 0.5, 1.0, 32) == Grid((2, 3, 3, 4), (32, 32, 32, 32))
    assert grid(6, 16, 2, 1.0, 0.5, 4) == Grid((6, 6), (8, 16))


@given(
    st.integers(1, 48),
    st.integers(1, 20),
    st.integers(2, 8),
    st.floats(0.51, 1.0),
    st.floats(0.05, 1.0),
    st.integers(1, 40),
)
def test_a_grid_never_falls_and_ends_with_the_full_model(depth, factor, stages, ds, ss, multiple):
    made = grid(depth, factor * multiple, stages, ds, ss, multiple)
    for values in (made.depths, made.img_sizes):
        assert list(values) == sorted(values) and len(values) == stages
    assert (made.depths[-1], made.img_sizes[-1]) == (depth, factor * multiple)
    assert all(size % multiple == 0 for size in made.img_sizes)


@given(st.integers(2, 8), st.integers(1, 400))
def test_stages_begin_at_the_floors(stages, epochs):
    if epochs < stages:
        with pytest.raises(SearchError, match=f"{epochs} epochs for {stages} stages"):
            begins(epochs, stages)
        return
    found = begins(epochs, stages)
    assert found == tuple(floor(epochs * i / stages) for i in range(stages))
    assert len({*found}) == stages and found[0] == 0 and found[-1] < epochs


@given(st.integers(2, 12), st.floats(0.0, 1.0))
def test_a_ramp_ends_exactly_at_the_full_value(stages, scale):
    ramp = [share(i, stages, scale) for i in range(stages)]
    assert ramp == sorted(ramp) and (ramp[0], ramp[-1]) == (scale, 1.0)


@pytest.mark.parametrize(
    ("depths", "sizes", "words"),
    [
        ((6, 8, 10), (128, 160), "3 depths and 2 image sizes"),
        ((12,), (224,), "at least two stages"),
        ((6, 8.0), (128, 160), "depths 6, 8.0 is 8.0; expected a whole number"),
        ((6, 8), (0, 160), "image sizes 0, 160 is 0;"),
        ((True, 2), (32, 32), "is True; expected"),
        ((8, 6), (128, 160), "the depths 8, 6 fall"),
        ((6, 8), (160, 128), "the image sizes 160, 128 fall"),
        ((5, 7, 10, 12), (96, 128, 192, 224), "5 to 12 blocks.*start with 6 blocks or more"),
        ((3, 7), (32, 32), "start with 4 blocks or more .a larger scale"),
    ],
)
def test_a_grid_that_cannot_be(depths, sizes, words):
    with pytest.raises(SearchError, match=words):
        Grid(depths, sizes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(full_size=200), "is 200 pixels.*multiples of 32; choose 192 pixels"),
        (dict(depth_scale=0.4), "from 5 to 12 blocks"),
        (dict(depth_scale=0), "the scale of depth is 0;"),
        (dict(size_scale=1.5), "the scale of image size is 1.5;"),
        (dict(stages=1), "no stage 0 of 1; there are two or more"),
        (dict(full_depth=0), "the full depth is 0; expected a whole number"),
        (dict(full_size=224.5), "the full image size is 224.5"),
        (dict(multiple=0), "multiples of is 0"),
    ],
)
def test_a_grid_that_cannot_be_made(change, words):
    good = dict(
        full_depth=12, full_size=224, stages=4, depth_scale=0.5, size_scale=0.5, multiple=32
    )
    grid(**good)
    with pytest.raises(SearchError, match=words):
        grid(**good | change)


@pytest.mark.parametrize("stage", [-1, 4])
def test_a_stage_that_there_is_not(stage):
    with pytest.raises(SearchError, match=re.escape(f"no stage {stage} of 4")):
        share(stage, 4, 0.5)
