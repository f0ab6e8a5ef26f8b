"""Block-diagonal coupling, the growth step of RBDC (arXiv 2605.23656).

With parents :math:`\\theta_1 .. \\theta_k` and, for every space, parent *i*'s channels at their own
slice of the child's channels, one rule makes all tensors:

* a tensor that **writes** a space (weights, norms, tokens, statistics) holds parent *i*'s numbers
  at parent *i*'s slice of each of its width axes and zero elsewhere, ``W = diag(W_1, .., W_k)``;
* a tensor that **reads** a space and writes none (a classifier) is placed likewise and divided by
  *k*, ``W = [W_1, .., W_k] / k``;
* a tensor that touches no space (a classifier's bias) is the parents' mean;
* integer counters are the first parent's.

In a fused axis (``qkv``) each of the fused maps has slices of its own. As long as everything
between the tensors works per channel or per head, the child's logits are the mean of the parents'
logits. BatchNorm does; LayerNorm does not: it shares mean and variance among all channels, so a
coupled ViT is exact for copies of one model only.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Entry, Layout
from mmrbdc.growth.placement import Block, Placement, Rule


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
) -> dict[str, Tensor]:
    """Couple parents block-diagonally.

    Args:
        parents: state dicts; their widths may differ and must sum to the child's.
        layout: the child's.
        generator: not used: the rule is deterministic.
        context: not used: the rule needs no data.

    Returns:
        The child's state dict: new tensors with the parents' dtype, on the first parent's device.

    Raises:
        GrowthError: a parent does not fit the layout, or the widths do not sum to the child's.
    """
    placements = describe(layout, layout.parent_sizes(parents))
    child: dict[str, Tensor] = {}
    for name, placement in placements.items():
        sources = [parent[name] for parent in parents]
        if placement.rule is Rule.COPIED:
            child[name] = sources[0].clone()
        elif placement.rule is Rule.MEAN:
            child[name] = torch.stack([source.to(sources[0].device) for source in sources]).mean(0)
        else:
            child[name] = place(sources, placement, layout, name)
    return child


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what the operator does with each tensor, from the sizes alone.

    Args:
        layout: the child's.
        sizes: each parent's space sizes.

    Returns:
        By tensor name. The blocks of a fused tensor are listed map by map.

    Raises:
        GrowthError: fewer than two parents, or sizes of a space that do not sum to the child's.
    """
    if len(sizes) < 2:
        raise GrowthError(
            f"block-diagonal coupling got {len(sizes)} parent; it couples two or more"
        )
    offsets = _offsets(layout, sizes)
    placements = {}
    for name, entry in layout.entries.items():
        if entry.role == "counter":
            placements[name] = Placement(Rule.COPIED)
        elif not (entry.writes_space or entry.reads_space):
            placements[name] = Placement(Rule.MEAN)
        else:
            blocks = tuple(
                block
                for parent in range(len(sizes))
                for block in _blocks(entry, layout, parent, sizes[parent], offsets[parent])
            )
            placements[name] = Placement(Rule.PLACED if entry.writes_space else Rule.SHARED, blocks)
    return placements


def _offsets(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    """Where in each space each parent's channels begin."""
    for name, space in layout.spaces.items():
        widths = [parent[name] for parent in sizes]
        if sum(widths) != space.size:
            raise GrowthError(
                f"space '{name}' is {space.size} wide in the child, but the parents' widths "
                f"{' + '.join(map(str, widths))} = {sum(widths)}; choose a child whose width is "
                "the sum of its parents'"
            )
    return [
        {name: sum(parent[name] for parent in sizes[:i]) for name in layout.spaces}
        for i in range(len(sizes))
    ]


def _blocks(
    entry: Entry,
    layout: Layout,
    parent: int,
    sizes: Mapping[str, int],
    offsets: Mapping[str, int],
) -> list[Block]:
    """The boxes of one parent in one tensor: one per combination of fused maps."""
    choices: list[list[tuple[int, int]]] = []
    for axis in entry.axes:
        if axis.space is None:
            choices.append([(0, axis.size)])
            continue
        whole = layout.spaces[axis.space].size
        starts = [fused * whole + offsets[axis.space] for fused in range(axis.fused)]
        choices.append([(start, start + sizes[axis.space]) for start in starts])
    return [Block(parent, ranges) for ranges in product(*choices)]


def place(sources: Sequence[Tensor], placement: Placement, layout: Layout, name: str) -> Tensor:
    """Write each parent's maps into its boxes of a zero tensor; ``Rule.SHARED`` is divided by k.

    Args:
        sources: the tensor ``name`` of each parent.
        placement: its boxes, parent by parent, those of one parent in the order of
            :func:`fused_maps`.
        layout: the child's.
        name: of the tensor.
    """
    first = sources[0]
    out = torch.zeros(layout.shape(name), dtype=first.dtype, device=first.device)
    fused = [axis.fused for axis in layout.entries[name].axes]
    per_parent = len(placement.blocks) // len(sources)
    for i, source in enumerate(sources):
        boxes = placement.blocks[i * per_parent : (i + 1) * per_parent]
        for box, part in zip(boxes, fused_maps(source, fused), strict=True):
            out[box.slices] = part
    return out / len(sources) if placement.rule is Rule.SHARED else out


def fused_maps(source: Tensor, fused: Sequence[int]) -> list[Tensor]:
    """Cut a tensor into its fused maps, in the order of ``itertools.product``.

    Args:
        source: the tensor.
        fused: how many maps each of its dimensions fuses.
    """
    parts = [source]
    for dim, count in enumerate(fused):
        parts = [piece for part in parts for piece in part.chunk(count, dim)]
    return parts
