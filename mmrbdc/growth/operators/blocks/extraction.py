"""A sub-net is taken out of the supernet that held it: fewer blocks, nothing else changes.

AutoProg (CVPR 2022, arXiv 2203.14509), with the blocks that the sub-net ran
(:func:`kept_blocks`). What the supernet had in front of and behind its blocks is kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.blocks import check_widths, copied
from mmrbdc.growth.parents.depth import first_number, kept_blocks, renumbered
from mmrbdc.growth.placement import Placement

NAME = "extraction"
OPTIONS = ("current", "supernet")
"""Blocks of the model that the supernet was grown from, and of the supernet."""


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
    current: int,
    supernet: int,
) -> dict[str, Tensor]:
    """Take the sub-net out.

    Args:
        parents: the supernet's state dict, of the child's width.
        layout: the child's, a sub-net's.
        generator: not used: the rule is deterministic.
        context: not used: the rule needs no data.
        current: blocks of the model that the supernet was grown from.
        supernet: blocks of the supernet.

    Returns:
        New tensors with the parent's dtype and device.

    Raises:
        GrowthError: several parents, a parent of another number of blocks, or no such sub-net.
    """
    _check_one(len(parents))
    found = layout.num_blocks if parents[0].keys() == layout.entries.keys() else None
    found = found or num_blocks_of(layout, parents[0])
    if found != supernet:
        raise GrowthError(
            f"the parent has {found} blocks, and the supernet should have {supernet}; give the "
            "supernet's file"
        )
    kept = kept_blocks(current, supernet, layout.num_blocks)
    moved = {
        name: renumbered(name, entry.block, kept[entry.block])
        for name, entry in layout.entries.items()
        if entry.block is not None and kept[entry.block] != entry.block
    }
    return {name: parents[0][moved.get(name, name)].clone() for name in layout.entries}


def describe(
    layout: Layout, sizes: Sequence[Mapping[str, int]], *, current: int, supernet: int
) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    _check_one(len(sizes))
    kept_blocks(current, supernet, layout.num_blocks)
    check_widths(layout, sizes, NAME)
    return {name: copied(layout, name, 0) for name in layout.entries}


def within(layout: Layout, parent: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A parent's tensors but those of blocks that a child has no number for."""
    return {
        name: tensor
        for name, tensor in parent.items()
        if name in layout.entries or not _is_block(layout, name)
    }


def num_blocks_of(layout: Layout, parent: Mapping[str, Tensor]) -> int:
    """How many blocks a parent has."""
    numbers = {first_number(name) for name in parent if _is_block(layout, name)}
    return len(numbers)


def _is_block(layout: Layout, name: str) -> bool:
    """Whether a tensor is one of a block, of whatever number."""
    number = first_number(name)
    if number is None:
        return False
    first = layout.entries.get(renumbered(name, number, 0))
    return first is not None and first.block is not None


def _check_one(count: int) -> None:
    if count != 1:
        raise GrowthError(f"{NAME} got {count} parents; it takes a sub-net out of one supernet")
