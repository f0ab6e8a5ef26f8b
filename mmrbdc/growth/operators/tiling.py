"""Tiling (HyperCloning, arXiv 2409.12903): the parent's weights side by side, the child its copy.

With the child *k* times as wide, a linear map becomes *k x k* tiles of ``W / k``, everything that
only writes (biases, norms, tokens) is repeated, whole heads in attention, and the classifier reads
*k* copies of ``W / k``. Exact with BatchNorm and with LayerNorm.

Copies would receive equal gradients for ever, so noise is added that cancels: tiles side by side
read equal channels, and their noise sums to zero. Its power is 10 dB below the tile's, a strength
of the official code; for two tiles it is that code's ``+N, -N``. The classifier gets none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.layout import Entry, Layout
from mmrbdc.growth.maps.widening import (
    one_parent,
    tiled_source,
    whole_ratio,
    widen,
    widening_placements,
)
from mmrbdc.growth.placement import Placement

NAME = "tiling"
NOISE_DECIBELS = -10.0


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
) -> dict[str, Tensor]:
    """Tile one parent.

    Args:
        parents: one state dict; the child is 2, 3, ... times as wide in every space.
        layout: the child's.
        generator: draws the noise.
        context: not used: the rule needs no data.

    Returns:
        The child's state dict: new tensors with the parent's dtype and device.

    Raises:
        GrowthError: several parents, or a width ratio that is not whole.
    """
    child = tile(parents, layout)
    for name, entry in layout.entries.items():
        if (dim := _noisy_dim(entry)) is not None:
            tiles = child[name].shape[dim] // parents[0][name].shape[dim]
            child[name] = child[name] + _cancelling(child[name], dim, tiles, generator)
    return child


def tile(parents: Sequence[Mapping[str, Tensor]], layout: Layout) -> dict[str, Tensor]:
    """Tile one parent without noise; see :func:`grow`."""
    sizes = one_parent(layout, layout.parent_sizes(parents), NAME)
    whole_ratio(layout, sizes, NAME)
    sources = {n: tiled_source(sizes[n], space.size) for n, space in layout.spaces.items()}
    return widen(parents[0], layout, sources)


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    whole_ratio(layout, one_parent(layout, sizes, NAME), NAME)
    return widening_placements(layout, "repeated", "tiled/k")


def _noisy_dim(entry: Entry) -> int | None:
    """The dimension that reads, of a map from space to space."""
    if not (entry.writes_space and entry.reads_space):
        return None
    return next(dim for dim, axis in enumerate(entry.axes) if axis.mode == "reads")


def _cancelling(tensor: Tensor, dim: int, count: int, generator: torch.Generator | None) -> Tensor:
    """Noise whose sum over the tiles along ``dim`` is zero."""
    noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    tiles = noise.unflatten(dim, (count, -1))
    tiles = tiles - tiles.mean(dim, keepdim=True)
    scale = tensor.double().square().mean().sqrt().cpu() * 10 ** (NOISE_DECIBELS / 20)
    tiles = tiles * scale / tiles.square().mean().sqrt()
    return tiles.flatten(dim, dim + 1).to(tensor)
