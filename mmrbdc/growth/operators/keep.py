"""The parent as it is: nothing grows in width.

For stages that differ in depth or image size alone: a parent is deepened and its position table
resized before any operator sees it, and this one adds nothing to that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.blocks import copied
from mmrbdc.growth.placement import Placement

NAME = "keep"


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
) -> dict[str, Tensor]:
    """Copy the parent.

    Args:
        parents: one state dict, of the child's widths.
        layout: the child's.
        generator: not used: the rule is deterministic.
        context: not used: the rule needs no data.

    Returns:
        New tensors with the parent's dtype and device.

    Raises:
        GrowthError: several parents, or one of other widths.
    """
    _check(layout, layout.parent_sizes(parents))
    return {name: parents[0][name].clone() for name in layout.entries}


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    _check(layout, sizes)
    return {name: copied(layout, name, 0) for name in layout.entries}


def _check(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> None:
    if len(sizes) != 1:
        raise GrowthError(f"{NAME} got {len(sizes)} parents; it keeps one")
    for name, space in layout.spaces.items():
        if sizes[0][name] != space.size:
            raise GrowthError(
                f"space '{name}' is {sizes[0][name]} wide in the parent and {space.size} in the "
                f"child, and {NAME} grows no width; use net2net or another operator that widens"
            )
