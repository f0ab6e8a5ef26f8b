"""The blocks that a sub-net keeps, and draws of sub-nets, against numbers of AutoProg's code.

Facts from running parts of github.com/changlin31/AutoProg at e7ecc98: ``set_sample_config`` and
``load_super`` on one stage of equal blocks, and ``sample_configs`` (main_prog.py). The blocks that
a sub-net *runs* there and those that are *extracted* differ from the second stage on; what is
extracted is right, and ours runs it too.
"""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from mmrbdc.growth import GrowthError
from mmrbdc.growth.parents.depth import block_sources, kept_blocks
from mmrbdc.search.candidates import SubNet
from mmrbdc.search.errors import SearchError
from mmrbdc.search.sub_nets import draw

KEPT = [  # current depth, candidates, depth; blocks to keep, blocks run there if they are others
    (6, (6, 10, 12), 6, [0, 2, 4, 6, 8, 10], None),
    (6, (6, 10, 12), 12, [*range(12)], None),
    (6, (8, 10, 12), 10, [0, 2, 4, 5, 6, 7, 8, 9, 10, 11], [0, 1, 2, 3, 4, 6, 8, 9, 10, 11]),
    (8, (10, 12), 10, [0, 1, 2, 3, 4, 6, 8, 9, 10, 11], [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]),
    (8, (10, 11, 12), 10, [0, 1, 2, 3, 4, 6, 8, 9, 10, 11], [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]),
    (8, (10, 11, 12), 12, [*range(12)], None),
    (5, (7, 10), 7, [0, 2, 4, 6, 7, 8, 9], [0, 1, 2, 3, 4, 6, 8]),
    (2, (2, 3, 4), 2, [0, 2], None),
    (2, (2, 3, 4), 4, [*range(4)], None),
    (2, (3, 4), 4, [*range(4)], None),
    (4, (4, 6, 8), 6, [0, 2, 4, 5, 6, 7], None),
    (4, (5, 6, 8), 5, [0, 2, 4, 6, 7], [0, 1, 2, 4, 6]),
    (4, (5, 6, 8), 8, [*range(8)], None),
]
DEPTHS, SIZES = (9, 15, 18), (128, 192, 224)
NINE = tuple(SubNet(depth, size) for size in SIZES for depth in DEPTHS)
SHARES = {  # of 90,000 draws there
    (128, 9): 0.11072222222222222, (128, 15): 0.1114, (128, 18): 0.1091,
    (192, 9): 0.11288888888888889, (192, 15): 0.11117777777777778, (192, 18): 0.11107777777777778,
    (224, 9): 0.11167777777777778, (224, 15): 0.11077777777777778, (224, 18): 0.11117777777777778,
}  # fmt: skip
DRAWS = {  # seed: 24 draws there, each 3 * (number of the depth) + number of the image size
    0: "417446632581224645675362",
    1: "211470346752102651664636",
    25: "317117228272552684367052",
}
RARE = 1e-3
"""A p-value below which draws are not what they should be."""


@pytest.mark.parametrize(("current", "candidates", "depth", "kept", "other"), KEPT)
def test_kept_blocks(current, candidates, depth, kept, other):
    """The twin counts from the smallest candidate, which is what the released code runs."""
    supernet = max(candidates)
    assert kept_blocks(current, supernet, depth) == tuple(kept)
    from_smallest = kept_blocks(min(candidates), supernet, depth)
    assert from_smallest == tuple(other or kept)
    assert (from_smallest != tuple(kept)) == (other is not None)


@given(st.integers(1, 30), st.data())
def test_a_sub_net_has_its_depth_every_source_and_the_blocks_of_the_shallower_ones(current, data):
    supernet = data.draw(st.integers(current, 2 * current))
    sources = block_sources("adjacent-last", current, supernet)
    before = ()
    for depth in range(current, supernet + 1):
        kept = kept_blocks(current, supernet, depth)
        assert len(kept) == depth and list(kept) == sorted({*kept})
        assert {sources[j] for j in kept} == {*range(current)}
        assert {*before} <= {*kept}
        before = kept
    assert before == tuple(range(supernet))
    assert [sources[j] for j in kept_blocks(current, supernet, current)] == [*range(current)]


@pytest.mark.parametrize(
    ("current", "supernet", "depth"), [(6, 12, 5), (6, 12, 13), (8, 6, 7), (0, 4, 2)]
)
def test_a_depth_that_there_is_not(current, supernet, depth):
    words = f"{depth} blocks in a supernet of {supernet} grown from {current}"
    with pytest.raises(GrowthError, match=words):
        kept_blocks(current, supernet, depth)


def table(pairs):
    """Counts of pairs, as a table."""
    ones, twos = (sorted({*values}) for values in zip(*pairs, strict=True))
    return [[pairs.count((one, two)) for two in twos] for one in ones]


def uniform(pairs, cells):
    counts = [count for row in table(pairs) for count in row]
    return len(counts) == cells and chisquare(counts).pvalue > RARE


def independent(pairs):
    return chi2_contingency(table(pairs)).pvalue > RARE


def draws(count, seed=0, stage=0):
    return [draw(NINE, seed, stage, iteration) for iteration in range(count)]


def test_the_yardstick_accepts_the_released_draws():
    for text in DRAWS.values():
        pairs = [divmod(int(digit), 3) for digit in text]
        assert uniform(pairs, 9) and independent(pairs)
    assert sum(SHARES.values()) == pytest.approx(1)
    assert chisquare([share * 90_000 for share in SHARES.values()]).pvalue > RARE


@pytest.mark.parametrize(("seed", "stage"), [(0, 0), (1, 0), (0, 2)])
def test_draws_are_uniform_and_depth_says_nothing_of_the_image_size(seed, stage):
    pairs = [(net.img_size, net.depth) for net in draws(4500, seed, stage)]
    assert uniform(pairs, 9) and independent(pairs)
    expected = [SHARES[pair] * len(pairs) for pair in SHARES]
    assert chisquare([pairs.count(pair) for pair in SHARES], expected).pvalue > RARE


def test_a_draw_says_nothing_of_the_next_nor_of_another_stage_or_seed():
    first = draws(4500)
    for other in (first[1:], draws(4500, seed=1), draws(4500, stage=1)):
        assert independent([*zip(map(NINE.index, first), map(NINE.index, other), strict=False)])


def test_twin_coupled_or_uneven_draws():
    coupled = [(net.depth, SIZES[DEPTHS.index(net.depth)]) for net in draws(900)]
    assert not uniform(coupled, 9) and not independent(coupled)
    uneven = [(net.img_size, min(net.depth, 15)) for net in draws(900)]
    assert not uniform(uneven, 6) and independent(uneven)
    still = [draw(NINE, 0, 0, 0) for _ in range(900)]
    assert not uniform([(net.img_size, net.depth) for net in still], 9)


def test_another_process_draws_the_same():
    """Whatever its hashing of strings and its own random state."""
    code = (
        "import random; random.seed(7)\n"
        "from mmrbdc.search.candidates import SubNet\n"
        "from mmrbdc.search.sub_nets import draw\n"
        f"nets = [SubNet(d, r) for d in {DEPTHS} for r in {SIZES}]\n"
        "print([(n.depth, n.img_size) for n in (draw(nets, 3, 1, i) for i in range(50))])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    ours = [draw(NINE, 3, 1, i) for i in range(50)]
    assert answer.stdout.strip() == str([(net.depth, net.img_size) for net in ours])


def test_one_candidate_and_what_cannot_be_drawn_from():
    assert draw([SubNet(6, 128)], 0, 0, 0) == SubNet(6, 128)
    for wrong in ((), NINE[:-1], (SubNet(6, 128), SubNet(8, 160))):
        with pytest.raises(SearchError, match="draws take every depth with every image size"):
            draw(wrong, 0, 0, 0)
