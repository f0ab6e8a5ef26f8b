"""Growth of inner widths: hidden units of an MLP, channels inside a residual block.

The streams keep their size, so a norm on a stream does not notice, and a new channel can be added
without changing the function: it must only put out nothing.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Entry, Layout
from mmrbdc.growth.maps.widening import one_parent

Spaces = Mapping[str, tuple[int, int]]
"""Old and new size of every space that grows, by name."""


def grown_spaces(
    layout: Layout, sizes: Sequence[Mapping[str, int]], operator: str
) -> dict[str, tuple[int, int]]:
    """Return the spaces that grow, with their old and new sizes.

    Args:
        layout: the child's.
        sizes: the only parent's space sizes.
        operator: what messages call the operator.

    Raises:
        GrowthError: several parents, a parent that is wider, a space other than ``hidden`` that
            grows, one that fuses several maps, or none that grows.
    """
    old = one_parent(layout, sizes, operator)
    grown = {n: (old[n], s.size) for n, s in layout.spaces.items() if old[n] != s.size}
    for name, (before, after) in grown.items():
        if layout.spaces[name].kind != "hidden":
            raise GrowthError(
                f"space '{name}' ({layout.spaces[name].kind}) is {before} wide in the parent and "
                f"{after} in the child, but {operator} grows the inner widths of blocks only; give "
                "the parent the child's width and a smaller inner one (stages: width=1, "
                "inner='1/2')"
            )
    if not grown:
        raise GrowthError(
            f"parent and child have the same widths; {operator} grows the inner widths of blocks: "
            "give the parent smaller ones (stages: width=1, inner='1/2')"
        )
    for name, entry in layout.entries.items():
        for axis in entry.axes:
            if axis.space in grown and axis.fused > 1:
                raise GrowthError(
                    f"'{name}' fuses {axis.fused} maps of space '{axis.space}', which {operator} "
                    "cannot grow; choose another operator"
                )
    return grown


def writes(entry: Entry, spaces: Spaces) -> tuple[int, str] | None:
    """Return dimension and name of the grown space that a tensor writes, if it writes one."""
    return _place(entry, "writes", spaces)


def reads(entry: Entry, spaces: Spaces) -> tuple[int, str] | None:
    """Return dimension and name of the grown space that a tensor reads, if it reads one."""
    return _place(entry, "reads", spaces)


def inner_weights(layout: Layout, spaces: Spaces) -> frozenset[str]:
    """Return the names of all weights that write or read a grown space."""
    return frozenset(
        name
        for name, entry in layout.entries.items()
        if entry.role == "weight" and (writes(entry, spaces) or reads(entry, spaces))
    )


def _place(entry: Entry, mode: str, spaces: Spaces) -> tuple[int, str] | None:
    for dim, axis in enumerate(entry.axes):
        if axis.mode == mode and axis.space is not None and axis.space in spaces:
            return dim, axis.space
    return None


def padded(parent: Mapping[str, Tensor], layout: Layout, spaces: Spaces) -> dict[str, Tensor]:
    """Add silent channels: zero weights, norms that pass on what they get.

    Returns:
        New tensors with the parent's dtype and device; the function is the parent's.
    """
    child = {}
    for name, entry in layout.entries.items():
        tensor = parent[name].clone()
        for dim, axis in enumerate(entry.axes):
            if axis.space is not None and axis.space in spaces:
                old, new = spaces[axis.space]
                more = neutral(name, entry, tensor, dim, new - old)
                tensor = torch.cat([tensor, more], dim)
        child[name] = tensor
    return child


def neutral(name: str, entry: Entry, tensor: Tensor, dim: int, count: int) -> Tensor:
    """Return ``count`` new channels of a tensor: ones for scales and variances, else zeros."""
    shape = list(tensor.shape)
    shape[dim] = count
    one = entry.role == "scale" or name.endswith(".running_var")
    return tensor.new_full(shape, float(one))


def channel_norms(tensor: Tensor, dim: int) -> Tensor:
    """L2 norm of every channel along one dimension, in float64."""
    return tensor.detach().double().movedim(dim, 0).flatten(1).norm(dim=1)
