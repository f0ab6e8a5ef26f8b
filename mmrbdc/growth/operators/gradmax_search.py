"""GradMax where neurons with zero incoming weights would be dead: ReLU, or a norm in between.

The paper's second form (arXiv 2201.05125, "gradmax-opt" in the released code): outgoing weights are
zero, and the incoming ones are sought by Adam steps that raise the norm of the gradient g of the
outgoing ones, on the length that old neurons have. A step takes one backward pass: with the
outgoing weights at e g, g being the gradient of the step before and e small, the gradient of the
incoming ones is e times that of |g|^2 / 2. The paper takes 100 steps; here ``STEPS``, since every
one is charged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.context import Context
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.inner import Spaces, channel_norms, reads, writes
from mmrbdc.growth.maps.widening import along

STEPS = 20
LEARNING_RATE = 0.05
"""Of Adam, for rows that are put back to one length after every step."""

_SMALL = 1e-3
"""Length of the outgoing weights during the search over that of an old neuron's."""


@dataclass(frozen=True)
class _Part:
    """Some channels of a weight: for each dimension that is cut, start and length.

    Attributes:
        dim: the dimension of the new channels.
        cuts: by dimension.
    """

    dim: int
    cuts: Mapping[int, tuple[int, int]]

    def of(self, tensor: Tensor) -> Tensor:
        """The part of a tensor, as a view."""
        for dim, (start, length) in self.cuts.items():
            tensor = tensor.narrow(dim, start, length)
        return tensor


def search_incoming(
    child: Mapping[str, Tensor],
    layout: Layout,
    spaces: Spaces,
    context: Context,
    batch: Any,
    generator: torch.Generator | None,
) -> dict[str, Tensor]:
    """Find incoming weights of new neurons whose outgoing ones get a large gradient.

    Args:
        child: the parent with silent new channels, see ``inner.padded``.
        layout: the child's.
        spaces: that grow.
        context: gives the loss.
        batch: that serves all steps.
        generator: draws the first incoming weights.

    Returns:
        The child with new incoming weights; outgoing ones are zero.
    """
    incoming, outgoing = _parts(layout, spaces)
    leaves = {name: child[name].clone() for name in {**incoming, **outgoing}}
    lengths = {name: _old_length(child[name], part) for name, part in incoming.items()}
    for name, part in incoming.items():
        rows = part.of(leaves[name])
        drawn = torch.randn(rows.shape, generator=generator, dtype=torch.float64)
        rows.copy_(_of_length(drawn, part.dim, lengths[name]))
    for leaf in leaves.values():
        leaf.requires_grad_()
    optimizer = torch.optim.Adam([leaves[name] for name in incoming], lr=LEARNING_RATE)
    for step in range(STEPS + 1):
        loss = context.loss({**child, **leaves}, batch, training=True)
        found = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        with torch.no_grad():
            if step:
                for name, part in incoming.items():
                    gradient = torch.zeros_like(leaves[name])
                    part.of(gradient).copy_(-part.of(found[name]))
                    leaves[name].grad = gradient
                optimizer.step()
                for name, part in incoming.items():
                    rows = part.of(leaves[name])
                    rows.copy_(_of_length(rows, part.dim, lengths[name]))
            for name, part in outgoing.items():
                gradient = part.of(found[name])
                reach = _SMALL * _old_length(child[name], part) / gradient.norm().clamp_min(1e-30)
                part.of(leaves[name]).copy_(gradient * (reach if step < STEPS else 0.0))
    return {**child, **{name: leaf.detach() for name, leaf in leaves.items()}}


def _parts(layout: Layout, spaces: Spaces) -> tuple[dict[str, _Part], dict[str, _Part]]:
    """Rows of new neurons by weight, and columns of new neurons in the rows of old ones."""
    incoming, outgoing = {}, {}
    for name, entry in layout.entries.items():
        if entry.role != "weight":
            continue
        old_rows = {}
        if written := writes(entry, spaces):
            dim, space = written
            old, new = spaces[space]
            incoming[name] = _Part(dim, {dim: (old, new - old)})
            old_rows = {dim: (0, old)}
        if read := reads(entry, spaces):
            dim, space = read
            old, new = spaces[space]
            outgoing[name] = _Part(dim, {dim: (old, new - old), **old_rows})
    return incoming, outgoing


def _old_length(tensor: Tensor, part: _Part) -> Tensor:
    """Mean L2 norm of the old channels."""
    old, _ = part.cuts[part.dim]
    return channel_norms(tensor.narrow(part.dim, 0, old), part.dim).mean()


def _of_length(rows: Tensor, dim: int, length: Tensor) -> Tensor:
    """Rows along one dimension, scaled to one L2 norm."""
    return rows * along(length / channel_norms(rows, dim).clamp_min(1e-30), dim, rows)
