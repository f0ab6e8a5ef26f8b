"""Widening one model: which old channel every new channel copies, and what its readers make of it.

With a map ``source`` for every space, new channel *j* is a copy of old channel ``source[j]``. An
axis that writes the space gathers by it; an axis that reads it gathers too and gives every copy a
share, where the shares of all copies of one old channel sum to 1. Then the function stays what it
was, as long as everything between the tensors works per channel or per head (Net2Net, arXiv
1511.05641, section 2). BatchNorm does. LayerNorm does where every channel of its stream has equally
many copies, since mean and variance are then the old ones.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Axis, Layout, Space
from mmrbdc.growth.placement import Placement, Rule

Share = Callable[[str, Space, Tensor], Tensor]
"""(tensor name, space, source) -> the share of each new channel, in float64."""


def one_parent(
    layout: Layout, sizes: Sequence[Mapping[str, int]], operator: str
) -> Mapping[str, int]:
    """Return the only parent's space sizes.

    Raises:
        GrowthError: there are several parents, or the only one is wider than the child somewhere.
    """
    if len(sizes) != 1:
        raise GrowthError(f"{operator} widens one parent, it got {len(sizes)}; name one")
    for name, space in layout.spaces.items():
        if sizes[0][name] > space.size:
            raise GrowthError(
                f"space '{name}' is {sizes[0][name]} wide in the parent and {space.size} in the "
                f"child; {operator} widens: choose a wider child"
            )
    return sizes[0]


def whole_ratio(layout: Layout, sizes: Mapping[str, int], operator: str) -> int:
    """Return how often the parent's width goes into the child's, the same for every space.

    Raises:
        GrowthError: it is no whole number above 1, or not the same for all.
    """
    ratios = {name: space.size / sizes[name] for name, space in layout.spaces.items()}
    first = next(iter(ratios.values()))
    for name, ratio in ratios.items():
        if ratio != first or ratio != int(ratio) or ratio < 2:
            raise GrowthError(
                f"space '{name}' is {sizes[name]} wide in the parent and "
                f"{layout.spaces[name].size} in the child; {operator} needs a child that is 2, 3, "
                "... times as wide as its parent in every space"
            )
    return int(first)


def has_layer_norm(layout: Layout, space: Space) -> bool:
    """Whether a norm in front of the space's readers mixes its channels."""
    return any(
        f"{norm}.weight" in layout.entries and f"{norm}.running_mean" not in layout.entries
        for norm in space.reader_norms
    )


def tiled_source(old: int, new: int) -> Tensor:
    """Channel *j* copies channel *j* modulo ``old``: (new,) indices."""
    return torch.arange(new) % old


def equal_share(name: str, space: Space, source: Tensor) -> Tensor:
    """One over the number of copies of a channel; ``name`` and ``space`` do not matter."""
    return 1.0 / torch.bincount(source).double()[source]


def widen(
    parent: Mapping[str, Tensor],
    layout: Layout,
    sources: Mapping[str, Tensor],
    share: Share = equal_share,
) -> dict[str, Tensor]:
    """Widen one model.

    Args:
        parent: its state dict.
        layout: the child's.
        sources: for every space the old channel of each new one.
        share: of each copy, for one axis that reads.

    Returns:
        New tensors with the parent's dtype and device.
    """
    child = {}
    for name, entry in layout.entries.items():
        tensor = parent[name].clone()
        for dim, axis in enumerate(entry.axes):
            if axis.space is None:
                continue
            source = sources[axis.space]
            tensor = gather(tensor, dim, axis, source)
            if axis.mode == "reads":
                shares = share(name, layout.spaces[axis.space], source).repeat(axis.fused)
                tensor = tensor * along(shares, dim, tensor)
        child[name] = tensor
    return child


def gather(tensor: Tensor, dim: int, axis: Axis, source: Tensor) -> Tensor:
    """Take the channels ``source`` of every fused map along one dimension."""
    old = tensor.shape[dim] // axis.fused
    index = torch.cat([source + fused * old for fused in range(axis.fused)])
    return tensor.index_select(dim, index.to(tensor.device))


def along(values: Tensor, dim: int, like: Tensor) -> Tensor:
    """Return a vector in the shape that multiplies ``like`` along ``dim``."""
    shape = [1] * like.ndim
    shape[dim] = -1
    return values.to(like.device, like.dtype).reshape(shape)


def widening_placements(layout: Layout, writers: str, readers: str) -> dict[str, Placement]:
    """Return placements that name a rule for tensors that only write and one for readers."""
    placements = {}
    for name, entry in layout.entries.items():
        rule = readers if entry.reads_space else writers if entry.writes_space else Rule.COPIED
        placements[name] = Placement(rule)
    return placements
