"""Net2Wider (Net2Net, arXiv 1511.05641, section 2.1): widen one model and keep its function.

Every space keeps its old channels and fills the rest with copies of channels drawn at random (whole
heads in attention). One map serves all tensors that share a space, so a residual stream stays
consistent; drawing one per layer instead, as a published baseline does, loses the function at every
residual sum. A stream under LayerNorm needs equally many copies of each channel and is tiled.

Copies whose readers share equally receive equal gradients for ever. Two ways out:

* ``net2net``: unequal shares, drawn between 1 : 3 and 3 : 1 and normalised (the remedy of LEMON,
  arXiv 2310.07999, section 3): exact and asymmetric;
* ``net2net-noise``: equal shares and noise on the weights that make the copies, with 5 % of the
  standard deviation of each tensor (the paper asks for a small noise and names no size): no longer
  exact.

The paper trains the wider model with a lower learning rate; here every stage begins with the
recipe's, for every method alike.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout, Space
from mmrbdc.growth.maps.widening import (
    equal_share,
    has_layer_norm,
    one_parent,
    tiled_source,
    widen,
    widening_placements,
)
from mmrbdc.growth.placement import Placement

NAME = "net2net"
SMALLEST_SHARE, LARGEST_SHARE = 0.5, 1.5
NOISE = 0.05


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
) -> dict[str, Tensor]:
    """Widen one parent, exactly, with unequal shares.

    Args:
        parents: one state dict, narrower than the child in any space, wider in none.
        layout: the child's.
        generator: draws the copied channels and the shares.
        context: not used: the rule needs no data.

    Returns:
        The child's state dict: new tensors with the parent's dtype and device.

    Raises:
        GrowthError: several parents, one that does not fit or has the child's widths, or a stream
            under LayerNorm that is no multiple of the parent's.
    """
    sizes = one_parent(layout, layout.parent_sizes(parents), NAME)
    sources = drawn_sources(sizes, layout, generator)
    share = partial(unequal_share, generator=generator)
    return widen(parents[0], layout, sources, share)


def grow_with_noise(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
) -> dict[str, Tensor]:
    """Widen one parent with equal shares and noise on the copies; see :func:`grow`."""
    sizes = one_parent(layout, layout.parent_sizes(parents), NAME)
    sources = drawn_sources(sizes, layout, generator)
    child = widen(parents[0], layout, sources, equal_share)
    for name, entry in layout.entries.items():
        if entry.role != "weight":
            continue
        for dim, axis in enumerate(entry.axes):
            if axis.mode != "writes":
                continue
            assert axis.space is not None
            noise = torch.randn(child[name].shape, generator=generator, dtype=torch.float64)
            old = torch.arange(len(sources[axis.space])) < sizes[axis.space]
            noise.movedim(dim, 0)[old.repeat(axis.fused)] = 0
            scale = NOISE * child[name].double().std(correction=0)
            child[name] = child[name] + (noise * scale.cpu()).to(child[name])
    return child


def unequal_share(
    name: str, space: Space, source: Tensor, *, generator: torch.Generator | None
) -> Tensor:
    """Draw the share of each copy of a channel; those of one channel sum to 1."""
    drawn = torch.rand(len(source), generator=generator, dtype=torch.float64)
    raw = SMALLEST_SHARE + (LARGEST_SHARE - SMALLEST_SHARE) * drawn
    sums = torch.zeros(int(source.max()) + 1, dtype=torch.float64).index_add(0, source, raw)
    return raw / sums[source]


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    check_widening(layout, one_parent(layout, sizes, NAME))
    return widening_placements(layout, "channels copied", "channels copied, shared")


def drawn_sources(
    sizes: Mapping[str, int], layout: Layout, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """For every space the old channel of each new one: tiled under LayerNorm, else drawn.

    Args:
        sizes: the parent's space sizes.
        layout: the child's.
        generator: draws whole units (heads).

    Raises:
        GrowthError: no space is wider than the parent's, or a stream under LayerNorm is no multiple
            of it.
    """
    check_widening(layout, sizes)
    return {
        name: tiled_source(sizes[name], space.size)
        if has_layer_norm(layout, space)
        else _drawn_source(sizes[name], space, generator)
        for name, space in layout.spaces.items()
    }


def _drawn_source(old: int, space: Space, generator: torch.Generator | None) -> Tensor:
    units, more = old // space.unit, (space.size - old) // space.unit
    drawn = torch.randint(units, (more,), generator=generator)
    chosen = torch.cat([torch.arange(units), drawn])
    return (chosen[:, None] * space.unit + torch.arange(space.unit)).flatten()


def check_widening(layout: Layout, sizes: Mapping[str, int]) -> None:
    """Raise a GrowthError unless something grows and streams under LayerNorm become multiples."""
    if all(space.size == sizes[name] for name, space in layout.spaces.items()):
        raise GrowthError(
            "parent and child have the same widths, so there is nothing to widen; choose a wider "
            "child"
        )
    for name, space in layout.spaces.items():
        if has_layer_norm(layout, space) and space.size % sizes[name]:
            raise GrowthError(
                f"space '{name}' is {sizes[name]} wide in the parent and {space.size} in the "
                f"child, and LayerNorm ({space.reader_norms[0]}) reads it: Net2Wider keeps the "
                "function only where every channel has equally many copies. Choose a child that "
                "is 2, 3, ... times as wide"
            )
