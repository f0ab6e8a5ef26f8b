"""The index map ``adjacent-last``, against numbers of AutoProg's released code, and its properties.

Facts from running ``new_idx`` and ``get_new_layer_idx`` (prog/helpers.py) of
github.com/changlin31/AutoProg at e7ecc98: 195 pairs of depths. A word below is one pair: digit *i*
says how often block *i* of the parent occurs in the child, copies adjacent, parents in order.
"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrbdc.growth.parents.depth import block_sources, new_blocks

WORDS = """
1 3 12 23 111 122 223 333 1112 1222 2223 2333 11111 11122 12222 22223 22333 33333 111112 111222
122222 222223 222333 233333 1111111 1111122 1112222 1222222 2222223 2222333 2233333 3333333
11111112 11111222 11122222 12222222 22222223 22222333 22233333 23333333 111111111 111111122
111112222 111222222 122222222 222222223 222222333 222233333 223333333 333333333 1111111112
1111111222 1111122222 1112222222 1222222222 2222222223 2222222333 2222233333 2223333333 2333333333
11111111111 11111111122 11111112222 11111222222 11122222222 12222222222 22222222223 22222222333
22222233333 22223333333 22333333333 33333333333 111111111112 111111111222 111111122222 111112222222
111222222222 122222222222 222222222223 222222222333 222222233333 222223333333 222333333333
233333333333 1111111111111 1111111111122 1111111112222 1111111222222 1111122222222 1112222222222
1222222222222 2222222222223 2222222222333 2222222233333 2222223333333 2222333333333 11111111111111
11111111111122 11111111112222 11111111222222 11111122222222 11112222222222 11222222222222
22222222222222 22222222222233 22222222223333 22222222333333 22222233333333 111111111111112
111111111111222 111111111122222 111111112222222 111111222222222 111122222222222 112222222222222
222222222222222 222222222222233 222222222223333 222222222333333 1111111111111112 1111111111111222
1111111111122222 1111111112222222 1111111222222222 1111122222222222 1112222222222222
1222222222222222 2222222222222223 2222222222222333 11111111111111111 11111111111111122
11111111111112222 11111111111222222 11111111122222222 11111112222222222 11111222222222222
11122222222222222 12222222222222222 22222222222222223 111111111111111111 111111111111111122
111111111111112222 111111111111222222 111111111122222222 111111112222222222 111111222222222222
111122222222222222 112222222222222222 222222222222222222 1111111111111111112 1111111111111111222
1111111111111122222 1111111111112222222 1111111111222222222 1111111122222222222 1111112222222222222
1111222222222222222 1122222222222222222 11111111111111111112 11111111111111111222
11111111111111122222 11111111111112222222 11111111111222222222 11111111122222222222
11111112222222222222 11111222222222222222 111111111111111111111 111111111111111111122
111111111111111112222 111111111111111222222 111111111111122222222 111111111112222222222
111111111222222222222 111111122222222222222 1111111111111111111111 1111111111111111111122
1111111111111111112222 1111111111111111222222 1111111111111122222222 1111111111112222222222
1111111111222222222222 1111111122222222222222 11111111111111111111112 11111111111111111111222
11111111111111111122222 11111111111111112222222 11111111111111222222222 11111111111122222222222
11111111112222222222222 111111111111111111111112 111111111111111111111222 111111111111111111122222
111111111111111112222222 111111111111111222222222 111111111111122222222222
"""
COPIES = WORDS.split()


def decoded(word):
    """Sources, and the blocks that are not the first of their source."""
    sources = [block for block, times in enumerate(map(int, word)) for _ in range(times)]
    starts = [sum(map(int, word[:block])) for block in range(len(word))]
    return sources, [j for j in range(len(sources)) if j not in starts]


def odd_copies_first(parent, child):
    """The twin: the first blocks, not the last, are copied once more."""
    copies, more = divmod(child, parent)
    return [block for block in range(parent) for _ in range(copies + (block < more))]


def test_all_pairs_are_those_of_the_released_code():
    assert len(COPIES) == len({*COPIES}) == 195
    for word in COPIES:
        sources, new = decoded(word)
        found = block_sources("adjacent-last", len(word), len(sources))
        assert (found, new_blocks(found)) == (sources, new), word


def test_one_pair_by_hand():
    """The twins: the odd copies elsewhere, and the new block before its source."""
    sources = block_sources("adjacent-last", 7, 11)
    assert sources == [0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert new_blocks(sources) == [4, 6, 8, 10]
    assert odd_copies_first(7, 11) != sources != block_sources("adjacent", 7, 11)
    assert [j for j, (one, two) in enumerate(pairwise(sources)) if one == two] != [4, 6, 8, 10]


def only_multiples_agree(operator, parent, child):
    same = block_sources(operator, parent, child) == block_sources("adjacent", parent, child)
    return same == (child % parent == 0)


@given(st.integers(2, 24), st.integers(0, 48))
def test_for_multiples_it_is_adjacent_and_otherwise_not(parent, more):
    assert only_multiples_agree("adjacent-last", parent, parent + more)
    assert not only_multiples_agree("stack", 2, 4)


def holds(sources, parent, child):
    """Every source, in order, equally often but for the last ones, which occur once more."""
    counts = [sources.count(block) for block in range(parent)]
    return (
        len(sources) == child
        and all(0 <= later - sooner <= 1 for sooner, later in pairwise(sources))
        and min(counts) >= 1
        and max(counts) - min(counts) <= 1
        and counts == sorted(counts)
    )


@given(st.integers(1, 40), st.integers(0, 80))
def test_every_source_in_order_and_the_odd_copies_last(parent, more):
    child = parent + more
    sources = block_sources("adjacent-last", parent, child)
    assert holds(sources, parent, child)
    new = new_blocks(sources)
    assert len(new) == more and 0 not in new
    assert [s for j, s in enumerate(sources) if j not in new] == [*range(parent)]


@pytest.mark.parametrize("wrong", ["adjacent", "stack", odd_copies_first])
def test_twin_another_map_has_not_these_properties(wrong):
    found = wrong(5, 12) if callable(wrong) else block_sources(wrong, 5, 12)
    assert not holds(found, 5, 12)
