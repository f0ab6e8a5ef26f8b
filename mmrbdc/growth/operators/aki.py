"""Advanced knowledge initialisation, AKI (bert2BERT, arXiv 2110.07143, section 3.2.2).

A widened model as Net2Wider with equal shares makes it (the paper's FPI), but where the new rows of
a layer's tensors are copies of channels of the *same* layer there, AKI takes them from the *next*
layer: the same tensor one block on, its inputs widened first, by that block's own map and shares.
That breaks the symmetry between copies and brings in knowledge of the layer above; it does not keep
the function.

A weight goes with the bias, norm and running statistics that follow it: all of them take rows of
the next block, or, where one has no counterpart of its shape there, none does. So the rows are the
block's own in the last block, in the last block of each of a ResNet's stages, in a ResNet's
shortcuts and in the first convolution of each of its stages, as they are for embeddings, stem and
classifier: copies there that are equal in all that goes in and out get equal gradients and part by
rounding only.

One map serves all tensors that share a space, where the paper draws one for every matrix: a stream
under LayerNorm is tiled, everything else drawn (see ``net2net.py``).
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.widening import one_parent, widen, widening_placements
from mmrbdc.growth.operators.net2net import check_widening, drawn_sources
from mmrbdc.growth.placement import Placement

NAME = "aki"


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
) -> dict[str, Tensor]:
    """Widen one parent with rows of the next block.

    Args:
        parents: one state dict, narrower than the child.
        layout: the child's.
        generator: draws the copied channels.
        context: not used: the rule needs no data.

    Returns:
        The child's state dict: new tensors with the parent's dtype and device.

    Raises:
        GrowthError: several parents, one that does not fit or has the child's widths, or a stream
            under LayerNorm that is no multiple of the parent's.
    """
    sizes = one_parent(layout, layout.parent_sizes(parents), NAME)
    sources = drawn_sources(sizes, layout, generator)
    child = widen(parents[0], layout, sources)
    above = next_block_tensors(layout)
    taken: dict[str, Tensor] = {}
    for name, entry in layout.entries.items():
        other = above.get(name)
        if other is None:
            continue
        for dim, axis in enumerate(entry.axes):
            if axis.mode == "writes":
                assert axis.space is not None
                new = torch.arange(layout.spaces[axis.space].size) >= sizes[axis.space]
                tensor = child[name].clone()
                rows = new.repeat(axis.fused).to(tensor.device)
                tensor.movedim(dim, 0)[rows] = child[other].movedim(dim, 0)[rows]
                taken[name] = tensor
    return {**child, **taken}


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    check_widening(layout, one_parent(layout, sizes, NAME))
    above = next_block_tensors(layout)
    placements = widening_placements(layout, "channels copied", "channels copied, shared")
    return {
        name: Placement(f"{p.rule}; new rows of the next block") if name in above else p
        for name, p in placements.items()
    }


def next_block_tensors(layout: Layout) -> dict[str, str]:
    """For the tensors of each block that have one: that of the same name in the next block."""
    blocks: dict[int, list[str]] = {}
    for name, entry in layout.entries.items():
        if entry.block is not None:
            blocks.setdefault(entry.block, []).append(name)
    prefixes = {block: _common_module(names) for block, names in blocks.items()}
    found = {}
    for block, names in blocks.items():
        there = blocks.get(block + 1, [])
        for group in _weights_and_followers(names, layout):
            pairs = {
                name: prefixes.get(block + 1, "") + name.removeprefix(prefixes[block])
                for name in group
            }
            if all(
                other in there and layout.shape(other) == layout.shape(name)
                for name, other in pairs.items()
            ):
                found.update(pairs)
    return found


def _weights_and_followers(names: Sequence[str], layout: Layout) -> list[list[str]]:
    """Tensors in order, cut in front of every weight that reads something."""
    groups: list[list[str]] = [[]]
    for name in names:
        if layout.entries[name].reads_space:
            groups.append([])
        groups[-1].append(name)
    return [group for group in groups if group]


def _common_module(names: Sequence[str]) -> str:
    """The innermost module that all tensors are in."""
    columns = zip(*(name.split(".") for name in names), strict=False)
    return ".".join(takewhile(bool, (c[0] if len(set(c)) == 1 else "" for c in columns)))
