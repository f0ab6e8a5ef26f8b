"""Weight averaging: the parents' mean, tiled to the child's width.

The naive way to use several parents: one mean of their weights and statistics, widened by tiling
with its noise. Parents trained from different seeds lie in different basins, so their mean is
usually no better than chance; for equal parents it is exact.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.widening import whole_ratio, widening_placements
from mmrbdc.growth.operators import tiling
from mmrbdc.growth.placement import Placement

NAME = "averaging"


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
) -> dict[str, Tensor]:
    """Average parents of one width and tile the mean.

    Args:
        parents: two or more state dicts of one width; the child is 2, 3, ... times as wide.
        layout: the child's.
        generator: draws the noise of the tiles.
        context: not used: the rule needs no data.

    Returns:
        The child's state dict: new tensors with the parents' dtype, on the first parent's device.

    Raises:
        GrowthError: fewer than two parents, parents of different widths, or a width ratio that is
            not whole.
    """
    describe(layout, layout.parent_sizes(parents))
    mean = {}
    for name, entry in layout.entries.items():
        sources = [parent[name].to(parents[0][name].device) for parent in parents]
        mean[name] = sources[0] if entry.role == "counter" else torch.stack(sources).mean(0)
    return tiling.grow([mean], layout, generator=generator)


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    if len(sizes) < 2:
        raise GrowthError(f"{NAME} got {len(sizes)} parent; it averages two or more")
    for name, size in sizes[0].items():
        widths = [parent[name] for parent in sizes]
        if set(widths) != {size}:
            raise GrowthError(
                f"space '{name}' is {' and '.join(map(str, widths))} wide in the parents; "
                f"{NAME} needs parents of one width"
            )
    whole_ratio(layout, sizes[0], NAME)
    return widening_placements(layout, "mean, repeated", "mean, tiled/k")
