"""GradMax (ICLR 2022, arXiv 2201.05125): new neurons that change nothing and get large gradients.

A block's inner width grows. With x the input of the layer that makes the new neurons and delta the
loss gradient at the output of the layer that reads them, the gradient of a new neuron's incoming
weights is f'(0) w_out^T M with M = E[delta x^T], when these are zero and w_out is what leaves it.

* **Activations with f(0) = 0 and f'(0) != 0 and no norm inside (GELU: DeiT).** Incoming weights are
  zero; the outgoing ones are the left singular vectors of M, largest first, of length ``SCALE``
  times the mean of the old neurons' (the paper's section 3.2), those whose singular value is 0 left
  out: a neuron along one would never get a gradient. (Under a LayerNorm one is: a shift of all
  channels changes nothing.) Beyond as many neurons as there are such vectors, which the paper does
  not provide for, they come again with the other sign, and what is left are random mixtures of
  them. At that many, nothing is selected any more: any basis gives the same gradient. M is read off
  the loss: with the outgoing weights of probing neurons set to unit vectors, the gradients of their
  incoming weights are the rows of f'(0) M.
* **ReLU or a norm inside (ResNet).** ReLU's derivative at 0 is 0 in torch: such neurons would be
  dead for ever. The paper's second form instead, see ``gradmax_search.py``: outgoing weights are
  zero, the incoming ones sought.

Both are exact. One batch of ``IMAGES`` serves all layers. The released code (TensorFlow) grows a
little many times during training and carries the optimizer's slots; here growth is between stages,
and the next stage starts a new optimizer, as for every method.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.context import Context, Work
from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.inner import (
    Spaces,
    channel_norms,
    grown_spaces,
    inner_weights,
    padded,
    reads,
    writes,
)
from mmrbdc.growth.operators.gradmax_search import STEPS, search_incoming
from mmrbdc.growth.placement import Placement, Rule

NAME = "gradmax"
IMAGES = 128
SCALE = 0.5
_SLOPED_AT_ZERO = ("gelu",)


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Context | Any = None,
) -> dict[str, Tensor]:
    """Grow the inner widths of one parent, exactly.

    Args:
        parents: one state dict of the child's width with smaller inner widths.
        layout: the child's.
        generator: draws the mixtures of the first form, the first incoming weights of the second.
        context: gives the batch and the loss.

    Returns:
        The child's state dict: new tensors with the parent's dtype and device.

    Raises:
        GrowthError: a parent that does not fit, too many new neurons for the first form, or a
            loss without a gradient.
    """
    spaces = grown_spaces(layout, layout.parent_sizes(parents), NAME)
    child = padded(parents[0], layout, spaces)
    batch = next(context.batches(IMAGES, IMAGES))
    if _sloped(layout, spaces):
        _check_count(layout, spaces)
        return _by_singular_vectors(child, layout, spaces, context, batch, generator)
    return search_incoming(child, layout, spaces, context, batch, generator)


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    spaces = grown_spaces(layout, sizes, NAME)
    sloped = _sloped(layout, spaces)
    if sloped:
        _check_count(layout, spaces)
    incoming = "kept; new rows zero" if sloped else "kept; new rows sought by gradient"
    outgoing = "kept; new columns singular vectors" if sloped else "kept; new columns zero"
    placements = {}
    for name, entry in layout.entries.items():
        rules = [incoming] if writes(entry, spaces) else []
        rules += [outgoing] if reads(entry, spaces) else []
        placements[name] = Placement("; ".join(rules) or Rule.COPIED)
    return placements


def work(layout: Layout, sizes: Mapping[str, int], samples: int) -> list[Work]:
    """Return what :func:`grow` costs: passes of one batch through the child."""
    spaces = grown_spaces(layout, [sizes], NAME)
    if _sloped(layout, spaces):
        trained = frozenset(incoming for incoming, _, _ in _outer(layout, spaces).values())
        return [Work(IMAGES * len(_chunks(layout, spaces)), layout.sizes, trained)]
    return [Work(IMAGES * (STEPS + 1), layout.sizes, inner_weights(layout, spaces))]


def _sloped(layout: Layout, spaces: Spaces) -> bool:
    """Whether new neurons with zero incoming weights get a gradient."""
    grown = [layout.spaces[name] for name in spaces]
    return all(s.activation in _SLOPED_AT_ZERO and not s.reader_norms for s in grown)


def _outer(layout: Layout, spaces: Spaces) -> dict[str, tuple[str, str, int]]:
    """Incoming and outgoing weight of every grown space, and the width that the latter writes."""
    found = {}
    for space in spaces:
        here = {space: spaces[space]}
        weights = {n: e for n, e in layout.entries.items() if e.role == "weight"}
        (incoming,) = (n for n, e in weights.items() if writes(e, here))
        (outgoing,) = (n for n, e in weights.items() if reads(e, here))
        found[space] = (incoming, outgoing, layout.shape(outgoing)[0])
    return found


def _chunks(layout: Layout, spaces: Spaces) -> list[int]:
    """First unit vector of every probing pass."""
    widest = max(width for _, _, width in _outer(layout, spaces).values())
    return list(range(0, widest, _step(spaces)))


def _check_count(layout: Layout, spaces: Spaces) -> None:
    for space, (_, outgoing, width) in _outer(layout, spaces).items():
        old, new = spaces[space]
        if new - old > 2 * width:
            raise GrowthError(
                f"space '{space}' grows from {old} to {new}, but '{outgoing}' has {width} outputs, "
                f"which give {2 * width} new neurons different gradients at most; let {NAME} grow "
                f"by no more at a time (inner of the stage before: at least "
                f"{max(new - 2 * width, 1)}/{new})"
            )


def _by_singular_vectors(
    child: dict[str, Tensor],
    layout: Layout,
    spaces: Spaces,
    context: Context,
    batch: Any,
    generator: torch.Generator | None,
) -> dict[str, Tensor]:
    outer = _outer(layout, spaces)
    rows: dict[str, list[Tensor]] = {space: [] for space in spaces}
    step = _step(spaces)
    for start in _chunks(layout, spaces):
        probing = dict(child)
        counts = {}
        for space, (_, outgoing, width) in outer.items():
            old, _ = spaces[space]
            counts[space] = max(0, min(step, width - start))
            probes = child[outgoing].clone()
            units = torch.arange(counts[space], device=probes.device)
            probes[start + units, old + units] = 1
            probing[outgoing] = probes
        leaves = {
            incoming: child[incoming].clone().requires_grad_() for incoming, _, _ in outer.values()
        }
        loss = context.loss({**probing, **leaves}, batch)
        gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        for space, (incoming, _, _) in outer.items():
            old, _ = spaces[space]
            rows[space].append(gradients[incoming][old : old + counts[space]])
    for space, (_, outgoing, _) in outer.items():
        old, new = spaces[space]
        vectors = directions(torch.cat(rows[space]), new - old, generator)
        if not vectors.numel():
            raise GrowthError(
                f"the loss has no gradient at '{outgoing}', so {NAME} cannot choose; train the "
                "stage before for longer, or look at its loss"
            )
        length = SCALE * channel_norms(child[outgoing][:, :old], 1).mean()
        child[outgoing][:, old:] = length * vectors.to(child[outgoing])
    return child


def directions(moment: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Return unit vectors that outgoing weights of new neurons point along.

    Args:
        moment: M, (outputs, inputs).
        count: of new neurons.
        generator: draws mixtures, where the vectors of both signs are fewer than ``count``.

    Returns:
        (outputs, count) in float64 on the CPU: left singular vectors of M with singular values
        above 0 to the precision of M, largest first, then their negatives, then mixtures; (outputs,
        0) where M is 0.
    """
    left, values, _ = torch.linalg.svd(moment.double().cpu(), full_matrices=False)
    rounding = max(moment.shape) * torch.finfo(moment.dtype).eps
    left = left[:, values > rounding * values[0]]
    rank = left.shape[1]
    drawn = torch.randn(rank, max(count - 2 * rank, 0), generator=generator, dtype=left.dtype)
    mixed = torch.nn.functional.normalize(left @ drawn, dim=0)
    return torch.cat([left, -left, mixed], dim=1)[:, : count if rank else 0]


def _step(spaces: Spaces) -> int:
    """Probes in one pass: as many as there are new neurons."""
    return min(new - old for old, new in spaces.values())
