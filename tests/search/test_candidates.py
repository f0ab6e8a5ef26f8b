"""What a stage chooses from, against numbers of AutoProg's released code.

Facts from running lines 793 to 804 of main_prog.py of github.com/changlin31/AutoProg at e7ecc98: 84
cases of a stage and a current net. A row: stages, current depth and image size, depths and image
sizes tried. It lists image sizes outside and depths inside, and does not search where the only
candidate is the current net. One grid grows from 5 to 12 blocks, which the released code refuses
in stage 0 and :class:`Grid` always does.
"""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrbdc.search.candidates import SubNet, candidates, supernet
from mmrbdc.search.errors import SearchError
from mmrbdc.search.grid import Grid

SIZES = (128, 160, 192, 224)
CASES = {
    ((9, 12, 15, 18), SIZES): [
        ((0,), 9, 128, (9, 15, 18), (128, 192, 224)),
        ((1, 2), 12, 128, (15, 18), (128, 160)),
        ((1, 2), 18, 128, (18,), (128, 160)),
        ((1, 2), 12, 160, (15, 18), (160, 192)),
        ((1, 2), 18, 160, (18,), (160, 192)),
        ((1, 2), 12, 192, (15, 18), (192, 224)),
        ((1, 2), 18, 192, (18,), (192, 224)),
        ((1, 2), 12, 224, (15, 18), (224,)),
        ((1, 2), 18, 224, (18,), (224,)),
    ],
    ((6, 8, 10, 12), SIZES): [
        ((1, 2), 6, 128, (8, 10, 12), (128, 160)),
        ((1, 2), 10, 128, (12,), (128, 160)),
        ((1, 2), 6, 160, (8, 10, 12), (160, 192)),
        ((1, 2), 10, 160, (12,), (160, 192)),
        ((1, 2), 6, 192, (8, 10, 12), (192, 224)),
        ((1, 2), 10, 192, (12,), (192, 224)),
        ((1, 2), 6, 224, (8, 10, 12), (224,)),
        ((1, 2), 10, 224, (12,), (224,)),
    ],
    ((5, 7, 10, 12), (96, 128, 192, 224)): [
        ((0,), 5, 96, (5, 10, 12), (96, 192, 224)),
        ((1, 2), 7, 96, (10, 12), (96, 128)),
        ((1, 2), 12, 96, (12,), (96, 128)),
        ((1, 2), 7, 128, (10, 12), (128, 192)),
        ((1, 2), 12, 128, (12,), (128, 192)),
        ((1, 2), 7, 192, (10, 12), (192, 224)),
        ((1, 2), 12, 192, (12,), (192, 224)),
        ((1, 2), 7, 224, (10, 12), (224,)),
        ((1, 2), 12, 224, (12,), (224,)),
    ],
    ((2, 3, 3, 4), (32, 32, 32, 32)): [
        ((1,), 2, 32, (3, 4), (32,)),
        ((1,), 4, 32, (4,), (32,)),
        ((2,), 3, 32, (4,), (32,)),
    ],
    ((4, 5, 6, 7, 8), (96, 128, 160, 160, 192)): [
        ((0,), 4, 96, (4, 6, 8), (96, 160, 192)),
        ((1, 2, 3), 5, 96, (6, 7, 8), (96, 128)),
        ((1, 2, 3), 7, 96, (8,), (96, 128)),
        ((1, 2, 3), 4, 128, (5, 6, 7), (128, 160)),
        ((1, 2, 3), 6, 128, (7, 8), (128, 160)),
        ((1, 2, 3), 8, 128, (8,), (128, 160)),
        ((1, 2, 3), 5, 160, (6, 7, 8), (160, 192)),
        ((1, 2, 3), 7, 160, (8,), (160, 192)),
        ((1, 2, 3), 4, 192, (5, 6, 7), (192,)),
        ((1, 2, 3), 6, 192, (7, 8), (192,)),
        ((1, 2, 3), 8, 192, (8,), (192,)),
    ],
}
DEIT = Grid((6, 8, 10, 12), SIZES)


def made(depths, sizes):
    """The grid; bare values where ``Grid`` refuses them."""
    if depths[-1] <= 2 * depths[0]:
        return Grid(depths, sizes)
    with pytest.raises(SearchError, match="at most doubles"):
        Grid(depths, sizes)
    return SimpleNamespace(depths=depths, img_sizes=sizes)


def depth_outside(depths, sizes):
    """The twin: what the order is not."""
    return tuple(SubNet(depth, size) for depth in depths for size in sizes)


def test_all_cases_are_those_of_the_released_code():
    count, differently_ordered = 0, 0
    for values, rows in CASES.items():
        grid = made(*values)
        for stages, depth, size, depths, sizes in rows:
            current = SubNet(depth, size)
            listed = tuple(SubNet(d, r) for r in sizes for d in depths)
            expected = () if listed == (current,) else listed
            for stage in stages:
                found = candidates(grid, stage, current)
                assert found == expected, (values, stage, current)
                differently_ordered += found != depth_outside(depths, sizes)
                count += 1
            if expected:
                assert supernet(expected) == SubNet(max(depths), max(sizes))
    assert count == 84 and differently_ordered


def test_deits_first_stage_by_hand():
    """The twin takes the value before the middle."""
    found = candidates(DEIT, 0, SubNet(6, 128))
    assert found == tuple(SubNet(d, r) for r in (128, 192, 224) for d in (6, 10, 12))
    assert found != tuple(SubNet(d, r) for r in (128, 160, 224) for d in (6, 8, 12))


def test_where_there_is_nothing_to_search():
    full = SubNet(12, 224)
    assert candidates(DEIT, 3, SubNet(6, 128)) == candidates(DEIT, 3, full) == ()
    assert candidates(DEIT, 1, full) == candidates(DEIT, 2, full) == ()
    assert candidates(Grid((4, 4), (32, 32)), 0, SubNet(4, 32)) == ()
    assert candidates(DEIT, 2, SubNet(12, 192)) == (SubNet(12, 192), full)
    with pytest.raises(SearchError, match="no candidates, so no supernet"):
        supernet(())


@st.composite
def grids(draw):
    stages = draw(st.integers(2, 7))
    first = draw(st.integers(1, 20))
    rest = st.lists(st.integers(first, 2 * first), min_size=stages - 1, max_size=stages - 1)
    sizes = st.lists(st.integers(1, 20), min_size=stages, max_size=stages)
    return Grid((first, *sorted(draw(rest))), tuple(16 * size for size in sorted(draw(sizes))))


def never_shrinks(found, current):
    return all(c.depth >= current.depth and c.img_size >= current.img_size for c in found)


@given(grids(), st.data())
def test_a_path_never_shrinks_nor_doubles_depth_twice(grid, data):
    """Any choices of all stages: on the grid, growing until the depth is full."""
    current = SubNet(grid.depths[0], grid.img_sizes[0])
    full = SubNet(grid.depths[-1], grid.img_sizes[-1])
    for stage in range(grid.stages):
        found = candidates(grid, stage, current)
        assert len({*found}) == len(found) <= 9 and never_shrinks(found, current)
        if not found:
            assert stage == grid.stages - 1 or current == full or len({*grid.depths}) == 1
            continue
        whole = supernet(found)
        assert whole in found and whole.depth <= 2 * current.depth
        if stage:
            assert all(c.depth > current.depth or current.depth == full.depth for c in found)
        current = data.draw(st.sampled_from(found))
    assert current.depth <= full.depth and current.img_size <= full.img_size


def test_twin_candidates_that_shrink():
    assert not never_shrinks(candidates(DEIT, 0, SubNet(6, 128)), SubNet(8, 128))


@pytest.mark.parametrize(
    ("stage", "current", "words"),
    [
        (4, SubNet(12, 224), "no stage 4; the grid has 4"),
        (-1, SubNet(6, 128), "no stage -1"),
        (1, SubNet(7, 128), "stage 1 starts from 7 blocks at 128 px.*depths 6, 8, 10, 12"),
        (1, SubNet(6, 130), "6 blocks at 130 px.*image sizes 128, 160, 192, 224"),
        (0, SubNet(8, 128), "from 8 blocks at 128 px; the first on the grid is 6 blocks at 128 px"),
    ],
)
def test_what_there_is_not(stage, current, words):
    with pytest.raises(SearchError, match=words):
        candidates(DEIT, stage, current)
