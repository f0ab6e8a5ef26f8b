"""Each block of a deeper model is one of its parent's, bit for bit, and the rest is kept."""

from itertools import pairwise

import pytest
import torch

from mmrbdc.growth import DEPTH_OPERATORS, Axis, Entry, GrowthError, Layout, Space, deepen
from mmrbdc.growth.parents import depth as depth_module
from mmrbdc.growth.parents.depth import block_sources, source_names

STREAM, UNIT = 6, 2


def layout(depth, width=STREAM, name="net.layers.{}", **changes):
    """Blocks of a fused map, a nested map with numbers in its name, a norm; changes by block."""
    spaces = {"stream": Space("stream", width, "stream")}
    entries = {"net.patch": Entry((Axis.writes("stream"), Axis.fixed(3)), "weight")}
    for i in range(depth):
        block, heads = name.format(i), f"heads{i}"
        spaces[heads] = Space(heads, width, "heads", unit=UNIT)
        fused = changes.get("fused", {}).get(i, 3)
        entries |= {
            f"{block}.norm": Entry((Axis.writes("stream"),), "scale", i),
            f"{block}.qkv": Entry((Axis.writes(heads, fused), Axis.reads("stream")), "weight", i),
            f"{block}.ffn.layers.0.1": Entry((Axis.writes("stream"), Axis.reads(heads)), "bias", i),
        }
    entries["head"] = Entry((Axis.fixed(5), Axis.reads("stream")), "weight")
    return Layout(spaces, entries)


def weights(of, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(of.shape(name), generator=draw) for name in of.entries}


def block(state, number):
    start = f"net.layers.{number}."
    return {n.removeprefix(start): t for n, t in state.items() if n.startswith(start)}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def holds(state, parent, sources):
    """The property: block j is the parent's block ``sources[j]``, all else is the parent's."""
    outside = [name for name in parent if ".layers." not in name]
    return all(same(block(state, j), block(parent, s)) for j, s in enumerate(sources)) and same(
        {name: state[name] for name in outside}, {name: parent[name] for name in outside}
    )


@pytest.mark.parametrize(
    ("operator", "parent", "child", "sources"),
    [
        ("stack", 3, 6, [0, 1, 2, 0, 1, 2]),
        ("adjacent", 3, 6, [0, 0, 1, 1, 2, 2]),
        ("stack", 2, 5, [0, 1, 0, 1, 0]),
        ("adjacent", 2, 5, [0, 0, 0, 1, 1]),
        ("adjacent-last", 2, 5, [0, 0, 1, 1, 1]),
        ("stack", 1, 3, [0, 0, 0]),
        ("adjacent", 12, 12, [*range(12)]),
    ],
)
def test_sources_by_hand(operator, parent, child, sources):
    assert block_sources(operator, parent, child) == sources
    state = weights(layout(parent))
    deep = deepen(state, layout(parent), layout(child), operator)
    assert [*deep] == [*layout(child).entries]
    assert holds(deep, state, sources)


@pytest.mark.parametrize("operator", DEPTH_OPERATORS)
@pytest.mark.parametrize(("parent", "child"), [(1, 4), (4, 12), (7, 11), (6, 12), (5, 5)])
def test_every_block_is_used_about_as_often(operator, parent, child):
    sources = block_sources(operator, parent, child)
    counts = [sources.count(block) for block in range(parent)]
    assert len(sources) == child and sum(counts) == child
    assert max(counts) - min(counts) <= 1 and min(counts) >= 1
    if operator.startswith("adjacent"):
        assert all(0 <= later - sooner <= 1 for sooner, later in pairwise(sources))


@pytest.mark.parametrize("operator", DEPTH_OPERATORS)
def test_a_factor_of_one_is_the_identity(operator):
    state = weights(layout(4))
    assert same(deepen(state, layout(4), layout(4), operator), state)


@pytest.mark.parametrize("operator", DEPTH_OPERATORS)
def test_twin_a_map_that_is_one_off(operator, monkeypatch):
    right = block_sources(operator, 3, 6)
    monkeypatch.setattr(
        depth_module, "block_sources", lambda *_: [(source + 1) % 3 for source in right]
    )
    state = weights(layout(3))
    assert not holds(deepen(state, layout(3), layout(6), operator), state, right)


def test_twin_the_two_operators_differ():
    state = weights(layout(2))
    deep = deepen(state, layout(2), layout(4), "stack")
    assert not holds(deep, state, block_sources("adjacent", 2, 4))


def test_only_the_block_number_of_a_name_changes():
    """``layers`` occurs twice in it, and other numbers do too."""
    names = source_names(layout(2), layout(4), "stack")
    assert names["net.layers.2.ffn.layers.0.1"] == "net.layers.0.ffn.layers.0.1"
    assert names["net.layers.3.ffn.layers.0.1"] == "net.layers.1.ffn.layers.0.1"
    deep = source_names(layout(11), layout(22), "stack")
    assert deep["net.layers.21.norm"] == "net.layers.10.norm"


def test_parents_are_not_touched_and_share_no_memory():
    state = weights(layout(2))
    before = {name: tensor.clone() for name, tensor in state.items()}
    deep = deepen(state, layout(2), layout(4), "stack")
    for tensor in deep.values():
        tensor.zero_()
    assert same(state, before)
    assert len({tensor.data_ptr() for tensor in deep.values()}) == len(deep)


def test_the_width_is_the_tensors_own():
    """A layout at the child's width serves for a narrower parent."""
    state = weights(layout(2, width=2))
    deep = deepen(state, layout(2), layout(4), "stack")
    assert holds(deep, state, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("shallow", "deep", "operator", "words"),
    [
        (
            layout(2),
            layout(4),
            "mirror",
            "unknown depth operator 'mirror'.*stack, adjacent, adjacent-last",
        ),
        (layout(4), layout(2), "stack", "from 4 to 2 blocks"),
        (layout(0), layout(2), "stack", "from 0 to 2 blocks"),
        (layout(2), layout(4, fused={2: 2}), "stack", r"layers.2.qkv.*role or axes differ"),
        (layout(2), layout(4, width=8), "stack", "role or axes differ"),
        (layout(2), layout(4, name="net.blocks.{}"), "stack", "of block 0, a copy of block 0"),
        (
            layout(2, name="net.stage{}.0"),
            layout(4, name="net.stage{}.0"),
            "stack",
            "numbers its blocks through",
        ),
        (layout(2), Layout({}, {}), "stack", "outside of the blocks"),
    ],
)
def test_refuses(shallow, deep, operator, words):
    with pytest.raises(GrowthError, match=words):
        deepen(weights(shallow), shallow, deep, operator)


def test_a_parent_with_a_block_missing():
    state = weights(layout(2))
    with pytest.raises(GrowthError, match=r"a\.pth.*no tensor of block 2"):
        deepen(state, layout(3), layout(6), "stack", "a.pth")
