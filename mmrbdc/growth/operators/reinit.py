"""The control that grows nothing: the wide model starts anew, as its recipe initialises it.

What its narrow stages spent stays charged. A method that does not beat it has learned nothing from
its parents.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.context import Context, Work
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.widening import one_parent
from mmrbdc.growth.placement import Placement

NAME = "reinit"


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Context | Any = None,
) -> dict[str, Tensor]:
    """Return the child as its recipe initialises it; of the parent only the dtype is taken.

    Args:
        parents: one state dict, narrower than the child in any space, wider in none.
        layout: the child's.
        generator: not used: the context draws.
        context: gives the initial tensors.

    Raises:
        GrowthError: several parents, or one that does not fit.
    """
    one_parent(layout, layout.parent_sizes(parents), NAME)
    return {name: tensor.to(parents[0][name]) for name, tensor in context.initial().items()}


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    one_parent(layout, sizes, NAME)
    return {name: Placement("drawn anew") for name in layout.entries}


def work(layout: Layout, sizes: Mapping[str, int], samples: int) -> list[Work]:
    """Return nothing: no image is looked at."""
    return []
