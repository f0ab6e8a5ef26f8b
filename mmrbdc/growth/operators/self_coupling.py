"""Self-coupling: copies of one model on the diagonal, zero elsewhere.

The width operator of Staged Training (arXiv 2203.06211), and the control for RBDC's claim that
several *different* parents matter. Exact with BatchNorm and LayerNorm, since all copies agree. The
copies receive equal gradients, and nothing but dropout inside a block tells them apart, as there:
the published method adds no noise. Drop-path does not, since it drops all channels of a sample
alike; the shipped recipes have no dropout, so that copies part by what rounding leaves, which
training enlarges. Where it differs: the classifier's weights are divided by the number of copies,
where Staged Training halves the last norm for the same logits; and the next stage begins with a
new optimizer, where the paper carries over the learning rate and Adam's moments, rescaled.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.widening import one_parent, whole_ratio
from mmrbdc.growth.operators import block_diagonal
from mmrbdc.growth.placement import Block, Placement

NAME = "self-coupling"


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
) -> dict[str, Tensor]:
    """Couple one parent with itself.

    Args:
        parents: one state dict; the child is 2, 3, ... times as wide in every space.
        layout: the child's.
        generator: not used: the rule is deterministic.
        context: not used: the rule needs no data.

    Returns:
        The child's state dict: new tensors with the parent's dtype and device.

    Raises:
        GrowthError: several parents, or a width ratio that is not whole.
    """
    sizes = one_parent(layout, layout.parent_sizes(parents), NAME)
    copies = whole_ratio(layout, sizes, NAME)
    return block_diagonal.grow([parents[0]] * copies, layout)


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    copies = whole_ratio(layout, one_parent(layout, sizes, NAME), NAME)
    return {
        name: Placement(p.rule, tuple(Block(0, block.ranges) for block in p.blocks))
        for name, p in block_diagonal.describe(layout, [sizes[0]] * copies).items()
    }
