"""Concatenation in depth: several parents of the child's width become its blocks, one behind the
other.

The blocks of parent *i* follow those of parent *i* - 1. Of what lies outside of blocks, the front
(patches, tokens, stem) comes from the first parent and the back (last norm, classifier) from the
last, as ``Layout.back`` tells them apart.

The function is that of no parent: a block reads what another parent's block wrote.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.blocks import check_widths, copied, num_blocks, parent_sizes
from mmrbdc.growth.parents.depth import renumbered
from mmrbdc.growth.placement import Placement

NAME = "concatenation"


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
) -> dict[str, Tensor]:
    """Lay the parents' blocks behind each other.

    Args:
        parents: state dicts of the child's width, whose numbers of blocks sum to the child's.
        layout: the child's.
        generator: not used: the rule is deterministic.
        context: not used: the rule needs no data.

    Returns:
        New tensors with the parents' dtype and device.

    Raises:
        GrowthError: one parent, another width, or numbers of blocks that do not sum.
    """
    sizes = [parent_sizes(layout, parent, f"parent {i}") for i, parent in enumerate(parents)]
    return {
        name: parents[parent][source].clone()
        for name, (parent, source) in _sources(layout, sizes).items()
    }


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    return {name: copied(layout, name, i) for name, (i, _) in _sources(layout, sizes).items()}


def _sources(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, tuple[int, str]]:
    """Number of the parent that each tensor is of, and its name there."""
    counts = [num_blocks(layout, of_parent) for of_parent in sizes]
    total = layout.num_blocks
    if len(sizes) < 2:
        raise GrowthError(f"{NAME} got {len(sizes)} parent; it lays two or more behind each other")
    if sum(counts) != total:
        raise GrowthError(
            f"the parents have {' + '.join(map(str, counts))} = {sum(counts)} blocks and the child "
            f"has {total}; choose a child as deep as all of them together"
        )
    check_widths(layout, sizes, NAME)
    of_block = [(i, block) for i, count in enumerate(counts) for block in range(count)]
    found = {}
    for name, entry in layout.entries.items():
        if entry.block is None:
            found[name] = (len(sizes) - 1 if layout.is_back(name) else 0, name)
        else:
            parent, block = of_block[entry.block]
            found[name] = (parent, renumbered(name, entry.block, block))
    return found
