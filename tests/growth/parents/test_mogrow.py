"""Which copy and which block each tensor of a grown model is, against AutoProg's released code.

Facts from running ``load_slice_clone_ema`` (prog/helpers.py, as main_prog.py calls it) of
github.com/changlin31/AutoProg at e7ecc98 on VOLO with marked weights: everything is of the moving
average, old blocks, the head and positions too, and the average is grown from itself. The blocks of
VOLO's two stages grow each by itself; a model here has one stage, so each of them is one case.

Differences that are meant: there the statistics of BatchNorms stay fresh; here they are averaged
and taken like all else. There a net of the supernet's own depth is taken from the average; here it
keeps the weights that it was trained with, since it is extracted like every sub-net.
"""

import pytest
import torch

from mmrbdc.growth import Axis, Entry, Layout, Space, deepen
from mmrbdc.growth.parents.depth import block_sources, new_blocks
from mmrbdc.growth.parents.mogrow import mogrow

ONLINE, AVERAGE = 0, 1000
HEAD, POSITIONS = 950, 970
SOURCES = {  # (blocks before, after): block of the average that each block is, there
    (2, 4): [0, 0, 1, 1],
    (7, 14): [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6],
    (7, 11): [0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6],
    (4, 4): [0, 1, 2, 3],
    (8, 11): [0, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7],
    (14, 14): [*range(14)],
}


def layout(depth):
    """Blocks of one tensor, and a head and positions outside of them."""
    entries = {"positions": Entry((Axis.fixed(1), Axis.writes("stream")), "position")}
    for i in range(depth):
        axes = (Axis.writes("stream"), Axis.reads("stream"))
        entries[f"layers.{i}.weight"] = Entry(axes, "weight", i)
    entries["head"] = Entry((Axis.fixed(1), Axis.reads("stream")), "weight")
    return Layout({"stream": Space("stream", 2, "stream")}, entries)


def marked(depth, copy):
    """Weights that say which copy and which block they are."""
    of = layout(depth)
    marks = {name: entry.block for name, entry in of.entries.items()}
    marks |= {"head": HEAD, "positions": POSITIONS}
    return {name: torch.full(of.shape(name), float(copy + marks[name])) for name in of.entries}


def told(state, depth):
    """What the weights of a grown model say: of its blocks in order, of its head and positions."""
    names = [*(f"layers.{i}.weight" for i in range(depth)), "head", "positions"]
    assert all(len(state[name].unique()) == 1 for name in names) and len(names) == len(state)
    return [int(state[name].flatten()[0]) for name in names]


def grown(before, after, mode):
    shapes = layout(before), layout(after)
    states = [deepen(marked(before, copy), *shapes, "adjacent-last") for copy in (ONLINE, AVERAGE)]
    new = new_blocks(block_sources("adjacent-last", before, after))
    return told(mogrow(*states, shapes[1], mode, new), after), told(states[1], after)


@pytest.mark.parametrize(("before", "after"), SOURCES)
def test_all_of_a_grown_model_is_of_the_average(before, after):
    """And the average that it goes on with is grown from itself. Twin: only what is new is."""
    expected = [AVERAGE + source for source in SOURCES[before, after]]
    expected += [AVERAGE + HEAD, AVERAGE + POSITIONS]
    found, average = grown(before, after, "all")
    assert found == average == expected
    assert grown(before, after, "new")[0] != expected


@pytest.mark.parametrize(("before", "after"), SOURCES)
def test_only_new_blocks_are(before, after):
    """As the paper words it; a block is new if its source is that of the one before."""
    found, average = grown(before, after, "new")
    sources = SOURCES[before, after]
    for place, source in enumerate(sources):
        is_new = place > 0 and sources[place - 1] == source
        assert found[place] == (AVERAGE if is_new else ONLINE) + source
    assert found[after:] == [HEAD, POSITIONS]
    assert grown(before, after, "off")[0] == [value - AVERAGE for value in average]
