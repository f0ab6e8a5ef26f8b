"""MixtureGrowth (WACV 2024, arXiv 2311.04251): new blocks are mixed from the members' templates.

Two members of equal width are trained as mixtures of templates (``mmrbdc.growth.maps.templates``)
and placed on the diagonal. What connects them is mixed from their own templates with new
coefficients:

``W = [[a0 . T0, a2 . T0], [a3 . T1, a1 . T1]]``

with the rows and columns of member 0 first; in a fused axis (``qkv``) within each of the maps.
Everything else is placed as in block-diagonal coupling, but classifiers are not divided and their
biases are summed: the child's logits are the *sum* of its parents'. Four operators differ in the
new coefficients (the paper's ``coefs_growing``); *a* is the member's own vector:

* ``mixture-growth``: orthogonal to *a* and as long, the sign drawn;
* ``mixture-growth-copy``: *a* and a little noise, whose size in the paper is not known to us;
* ``mixture-growth-zero``: zero, which is block-diagonal coupling up to the summed logits and exact
  with BatchNorm: the child computes the sum of its parents' logits;
* ``mixture-growth-random``: a random direction, as long as *a*.

What differs from the paper: its stem and classifier are mixtures too, and the first coefficients
are rows of one orthogonal matrix; here these two are plain, the coefficients random unit vectors.
What differs from the released code: its ``orthogonal`` leaves a2 as it is and takes for a3 the last
right-singular vector of the stacked a0, a1, a2, which two templates cannot make orthogonal to all
three; and it goes on training templates and coefficients, momentum kept. Here the child is a plain
model with a new optimizer. It can reach the same weights, since two vectors of coefficients make
any two matrices out of two templates.

A template's gradient is its coefficient times the weight's. Under SGD what the templates hold
orthogonal to *a* is therefore their random start, decayed, until *a* turns.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.templates import is_mixed, mix, plain_state, template_layout, template_names
from mmrbdc.growth.operators import block_diagonal
from mmrbdc.growth.placement import Placement, Rule

NAME = "mixture-growth"
COPY_NOISE = 0.05
"""Standard deviation of the noise on copied coefficients, relative to their length."""

OffDiagonal = Callable[[Tensor, torch.Generator | None], Tensor]
"""(a member's coefficients (2,), generator) -> those of the block beside it."""


def orthogonal(own: Tensor, generator: torch.Generator | None) -> Tensor:
    """As long as ``own`` (2,) and orthogonal to it, exactly; one of the two, drawn."""
    sign = 2 * int(torch.randint(2, (), generator=generator)) - 1
    return sign * torch.stack((-own[1], own[0]))


def copied(own: Tensor, generator: torch.Generator | None) -> Tensor:
    """``own`` (2,) with noise of :data:`COPY_NOISE` times its length."""
    noise = torch.randn(own.shape, generator=generator, dtype=torch.float64).to(own)
    return own + COPY_NOISE * own.norm() * noise


def zero(own: Tensor, generator: torch.Generator | None) -> Tensor:
    """Zeros (2,); draws nothing."""
    return torch.zeros_like(own)


def drawn(own: Tensor, generator: torch.Generator | None) -> Tensor:
    """As long as ``own`` (2,), in a random direction."""
    angle = 2 * math.pi * torch.rand((), generator=generator, dtype=torch.float64)
    return own.norm() * torch.stack((angle.cos(), angle.sin())).to(own)


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
    off_diagonal: OffDiagonal = orthogonal,
) -> dict[str, Tensor]:
    """Couple two mixtures of templates.

    Args:
        parents: two state dicts of one width that ``template_layout(layout)`` describes.
        layout: the child's, a plain model of twice the width.
        generator: draws the new coefficients, weight by weight in the layout's order.
        context: not used: the rule needs no data.
        off_diagonal: makes the new coefficients.

    Returns:
        The child's state dict: new tensors with the parents' dtype, on the first parent's device.

    Raises:
        GrowthError: other than two parents, a parent that does not fit, parents of different
            widths, or widths that do not sum to the child's.
    """
    placements = describe(layout, template_layout(layout).parent_sizes(parents))
    plain = [plain_state(parent, layout) for parent in parents]
    child: dict[str, Tensor] = {}
    for name, placement in placements.items():
        first, second = (state[name] for state in plain)
        if placement.rule is Rule.COPIED:
            child[name] = first.clone()
        elif placement.rule is Rule.SUM:
            child[name] = first + second.to(first.device)
        else:
            child[name] = block_diagonal.place([first, second], placement, layout, name)
        if placement.rule is Rule.MIXED:
            templates, coefficients = template_names(name)
            beside = [
                mix(parent[templates], off_diagonal(parent[coefficients], generator))
                for parent in parents
            ]
            _place_beside(child[name], beside, placement, layout, name)
    return child


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does.

    Blocks are those on the diagonal: the others hold no parent's numbers.
    """
    if len(sizes) != 2:
        raise GrowthError(
            f"{NAME} couples two parents, it got {len(sizes)}; name two, or couple with "
            "block-diagonal"
        )
    for name, size in sizes[0].items():
        if sizes[1][name] != size:
            raise GrowthError(
                f"space '{name}' is {size} and {sizes[1][name]} wide in the parents; {NAME} fills "
                "the blocks beside each parent's with its own templates and needs parents of one "
                "width"
            )
    placements = {}
    for name, placement in block_diagonal.describe(layout, sizes).items():
        rule = _INSTEAD.get(placement.rule, placement.rule)
        if is_mixed(layout.entries[name]):
            rule = Rule.MIXED
        placements[name] = Placement(rule, placement.blocks)
    return placements


_INSTEAD: dict[str, str] = {Rule.MEAN: Rule.SUM, Rule.SHARED: Rule.PLACED}
"""Of block-diagonal coupling: the child's logits are the sum of its parents'."""


def _place_beside(
    out: Tensor, beside: Sequence[Tensor], placement: Placement, layout: Layout, name: str
) -> None:
    """Write each parent's second mixture into its own rows and the other parent's columns."""
    axes = layout.entries[name].axes
    half = len(placement.blocks) // 2
    boxes = [placement.blocks[:half], placement.blocks[half:]]
    for parent, weight in enumerate(beside):
        parts = block_diagonal.fused_maps(weight, [axis.fused for axis in axes])
        for own, other, part in zip(boxes[parent], boxes[1 - parent], parts, strict=True):
            index = tuple(
                theirs if axis.mode == "reads" else ours
                for axis, ours, theirs in zip(axes, own.slices, other.slices, strict=True)
            )
            out[index] = part


OFF_DIAGONALS: dict[str, OffDiagonal] = {
    NAME: orthogonal,
    f"{NAME}-copy": copied,
    f"{NAME}-zero": zero,
    f"{NAME}-random": drawn,
}
"""The operators' names and how they make the new coefficients."""
