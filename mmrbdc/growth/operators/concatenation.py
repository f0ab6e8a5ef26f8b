"""Concatenation in depth: several parents of the child's width become its blocks, one behind the
other.

The blocks of parent *i* follow those of parent *i* - 1. Of what lies outside of blocks, the front
(patches, tokens, stem) comes from the first parent and the back (last norm, classifier) from the
last, as ``Layout.back`` tells them apart. This is how models that were trained part by part are
assembled (Deep Incubation, ICCV 2023, arXiv 2212.04129).

The function is that of no parent: a block reads what another parent's block wrote.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.parents.depth import renumbered
from mmrbdc.growth.placement import Block, Placement, Rule

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
    return {
        name: Placement(
            Rule.COPIED, (Block(parent, tuple((0, size) for size in layout.shape(name))),)
        )
        for name, (parent, _) in _sources(layout, sizes).items()
    }


def parent_sizes(layout: Layout, parent: Mapping[str, Tensor], who: str) -> dict[str, int]:
    """Infer a parent's space sizes, as :meth:`Layout.space_sizes`, from the blocks that it has."""
    blocks = [
        entry.block
        for name, entry in layout.entries.items()
        if entry.block is not None and name in parent
    ]
    return layout.first_blocks(max(blocks, default=-1) + 1).space_sizes(parent, who)


def _sources(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, tuple[int, str]]:
    """Number of the parent that each tensor is of, and its name there."""
    counts = [_num_blocks(layout, of_parent) for of_parent in sizes]
    total = layout.num_blocks
    if len(sizes) < 2:
        raise GrowthError(f"{NAME} got {len(sizes)} parent; it lays two or more behind each other")
    if sum(counts) != total:
        raise GrowthError(
            f"the parents have {' + '.join(map(str, counts))} = {sum(counts)} blocks and the child "
            f"has {total}; choose a child as deep as all of them together"
        )
    for i, of_parent in enumerate(sizes):
        for name, size in of_parent.items():
            if layout.spaces[name].size != size:
                raise GrowthError(
                    f"space '{name}' is {size} wide in parent {i} and {layout.spaces[name].size} "
                    f"in the child, and {NAME} grows no width"
                )
    of_block = [(i, block) for i, count in enumerate(counts) for block in range(count)]
    found = {}
    for name, entry in layout.entries.items():
        if entry.block is None:
            found[name] = (len(sizes) - 1 if layout.is_back(name) else 0, name)
        else:
            parent, block = of_block[entry.block]
            found[name] = (parent, renumbered(name, entry.block, block))
    return found


def _num_blocks(layout: Layout, sizes: Mapping[str, int]) -> int:
    """How many blocks a parent has, by the spaces that it has."""
    return sum(
        all(axis.space is None or axis.space in sizes for entry in entries for axis in entry.axes)
        for entries in layout.blocks()
    )
