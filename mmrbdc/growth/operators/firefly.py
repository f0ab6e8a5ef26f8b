"""Firefly (NeurIPS 2020, arXiv 2102.08574): near-identity candidates, the best by a Taylor score.

A block's inner width grows. Two kinds of candidates stand beside the old neurons:

* *split* neuron i: its incoming weights become w_i + v_i and w_i - v_i, its outgoing ones are
  halved;
* a *new* neuron with free incoming weights and tiny outgoing ones.

With all candidates attached the network is frozen and the directions (v, the new neurons' incoming
and outgoing weights) are trained for one pass over the training images by RMSprop; over a second
pass the loss gradient of a gate on every candidate, at 1, is summed. The most negative ones stay.

As in the released code: directions start uniform within 0.1 (v), normal with 0.1 (incoming),
uniform within 0.01 (outgoing); norms use their running statistics, splits copy them, new neurons
have fresh ones. Different: the child's width is fixed, so every space keeps the best of its own
candidates, where the paper ranks those of all layers together and keeps a share; a pass is over
``PASS_IMAGES`` images at most, since every one is charged; the small L2 penalties on directions,
whose size is not given, are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.context import Context, Work
from mmrbdc.growth.layout import Entry, Layout
from mmrbdc.growth.maps.inner import Spaces, grown_spaces, inner_weights, neutral, reads, writes
from mmrbdc.growth.maps.widening import along
from mmrbdc.growth.placement import Placement, Rule

NAME = "firefly"
NEW_CANDIDATES = 70
"""New neurons tried in every space; as many as it grows by where that is more."""

PASS_IMAGES = 1024
"""Largest number of images of one pass."""

SPLIT_RANGE, INCOMING_STD, OUTGOING_RANGE = 0.1, 0.1, 0.01


@dataclass
class Directions:
    """What is trained: tensors by the name of the weight that they belong to.

    Attributes:
        split: (like the parent's weight) for every weight that writes a grown space.
        incoming: the same with a row for each new candidate.
        outgoing: for every weight that reads one, a column for each new candidate.
    """

    split: dict[str, Tensor]
    incoming: dict[str, Tensor]
    outgoing: dict[str, Tensor]

    def all(self) -> list[Tensor]:
        """Every tensor, always in the same order."""
        groups = (self.split, self.incoming, self.outgoing)
        return [tensor for group in groups for tensor in group.values()]

    def with_values(self, tensors: Iterable[Tensor]) -> "Directions":
        """The same names with other tensors, in the order of :meth:`all`."""
        values = iter(tensors)
        groups = (self.split, self.incoming, self.outgoing)
        return Directions(*({name: next(values) for name in group} for group in groups))


@dataclass(frozen=True)
class Choice:
    """Which candidates of one space stay.

    Attributes:
        split: indices of old neurons.
        new: indices of new candidates.
    """

    split: Tensor
    new: Tensor


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Context | Any = None,
) -> dict[str, Tensor]:
    """Grow the inner widths of one parent, almost keeping its function.

    Args:
        parents: one state dict of the child's width with smaller inner widths.
        layout: the child's.
        generator: draws where the directions start.
        context: gives the batches and the loss.

    Returns:
        The child's state dict: new tensors with the parent's dtype and device.

    Raises:
        GrowthError: a parent that does not fit.
    """
    spaces = grown_spaces(layout, layout.parent_sizes(parents), NAME)
    parent = parents[0]
    directions = draw_directions(parent, layout, spaces, generator)
    everything = {space: _all_candidates(size) for space, size in spaces.items()}
    leaves = directions.all()
    optimizer = torch.optim.RMSprop(leaves, lr=1e-3, momentum=0.1, alpha=0.9)
    images = min(context.samples, PASS_IMAGES)
    for batch in context.batches(images):
        loss = context.loss(assembled(parent, layout, spaces, directions, everything), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    sums = [torch.zeros_like(leaf) for leaf in leaves]
    for batch in context.batches(images):
        loss = context.loss(assembled(parent, layout, spaces, directions, everything), batch)
        for total, gradient in zip(sums, torch.autograd.grad(loss, leaves), strict=True):
            total += gradient
    with torch.no_grad():
        choices = choose(layout, spaces, directions, sums)
        return assembled(parent, layout, spaces, directions, choices)


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    spaces = grown_spaces(layout, sizes, NAME)
    placements = {}
    for name, entry in layout.entries.items():
        rules = ["rows split or new"] if writes(entry, spaces) else []
        rules += ["columns halved or new"] if reads(entry, spaces) else []
        placements[name] = Placement("; ".join(rules) or Rule.COPIED)
    return placements


def work(layout: Layout, sizes: Mapping[str, int], samples: int) -> list[Work]:
    """Return what :func:`grow` costs: two passes through the network with all candidates."""
    spaces = grown_spaces(layout, [sizes], NAME)
    wide = {n: 2 * old + new_candidates((old, new)) for n, (old, new) in spaces.items()}
    images = 2 * min(samples, PASS_IMAGES)
    return [Work(images, {**sizes, **wide}, inner_weights(layout, spaces))]


def new_candidates(size: tuple[int, int]) -> int:
    """Return how many new neurons are tried in a space that grows from one size to another."""
    return max(NEW_CANDIDATES, size[1] - size[0])


def draw_directions(
    parent: Mapping[str, Tensor],
    layout: Layout,
    spaces: Spaces,
    generator: torch.Generator | None,
) -> Directions:
    """Draw where the directions start, with gradients on."""

    def drawn(shape: Sequence[int], like: Tensor, normal: bool, reach: float) -> Tensor:
        values = torch.empty(tuple(shape), dtype=torch.float64)
        if normal:
            values.normal_(0, reach, generator=generator)
        else:
            values.uniform_(-reach, reach, generator=generator)
        return values.to(like).requires_grad_()

    found = Directions({}, {}, {})
    for name, entry in layout.entries.items():
        if entry.role != "weight":
            continue
        tensor = parent[name]
        if written := writes(entry, spaces):
            dim, space = written
            shape = list(tensor.shape)
            found.split[name] = drawn(shape, tensor, False, SPLIT_RANGE)
            shape[dim] = new_candidates(spaces[space])
            found.incoming[name] = drawn(shape, tensor, True, INCOMING_STD)
        if read := reads(entry, spaces):
            dim, space = read
            shape = list(tensor.shape)
            shape[dim] = new_candidates(spaces[space])
            found.outgoing[name] = drawn(shape, tensor, False, OUTGOING_RANGE)
    return found


def assembled(
    parent: Mapping[str, Tensor],
    layout: Layout,
    spaces: Spaces,
    directions: Directions,
    choices: Mapping[str, Choice],
) -> dict[str, Tensor]:
    """Return the network with some candidates: old neurons first, then second halves, then new."""
    child = {}
    for name, entry in layout.entries.items():
        tensor = parent[name]
        outgoing = directions.outgoing.get(name)
        if written := writes(entry, spaces):
            dim, space = written
            chosen = choices[space]
            if outgoing is not None:
                silent = neutral(name, entry, outgoing, dim, len(chosen.new))
                halves = outgoing.index_select(dim, chosen.split)
                outgoing = torch.cat([outgoing, halves, silent], dim)
            tensor = _split_rows(name, entry, tensor, dim, directions, chosen)
        if read := reads(entry, spaces):
            dim, space = read
            chosen = choices[space]
            share = torch.ones(tensor.shape[dim])
            share[chosen.split] = 0.5
            shared = tensor * along(share, dim, tensor)
            columns = [shared, shared.index_select(dim, chosen.split)]
            if outgoing is not None:
                columns.append(outgoing.index_select(dim, chosen.new))
            tensor = torch.cat(columns, dim)
        child[name] = tensor.clone() if tensor is parent[name] else tensor
    return child


def _split_rows(
    name: str, entry: Entry, tensor: Tensor, dim: int, directions: Directions, chosen: Choice
) -> Tensor:
    """Rows of old neurons, of the second halves of split ones, and of new ones."""
    if name not in directions.split:
        halves = tensor.index_select(dim, chosen.split)
        return torch.cat([tensor, halves, neutral(name, entry, tensor, dim, len(chosen.new))], dim)
    direction = directions.split[name]
    is_split = torch.zeros(tensor.shape[dim])
    is_split[chosen.split] = 1
    first = tensor + direction * along(is_split, dim, tensor)
    second = (tensor - direction).index_select(dim, chosen.split)
    new = directions.incoming[name].index_select(dim, chosen.new)
    return torch.cat([first, second, new], dim)


def _all_candidates(size: tuple[int, int]) -> Choice:
    return Choice(torch.arange(size[0]), torch.arange(new_candidates(size)))


def choose(
    layout: Layout, spaces: Spaces, directions: Directions, gradients: Sequence[Tensor]
) -> dict[str, Choice]:
    """Keep, in every space, as many candidates as it grows by: those of the lowest score.

    The gradient of a gate that multiplies a direction, at 1, is the direction times its gradient,
    summed over the neuron's weights.

    Args:
        layout: the child's.
        spaces: old and new sizes.
        directions: trained.
        gradients: of the loss by ``directions.all()``, summed over a pass.

    Returns:
        The choice in each space.
    """
    leaves = directions.all()
    products = directions.with_values(
        leaf.detach() * gradient for leaf, gradient in zip(leaves, gradients, strict=True)
    )
    scores = {
        space: torch.zeros(old + new_candidates((old, new)), dtype=torch.float64)
        for space, (old, new) in spaces.items()
    }
    for kind, found_by in ((products.split, writes), (products.outgoing, reads)):
        for name, product in kind.items():
            place = found_by(layout.entries[name], spaces)
            assert place is not None
            dim, space = place
            old, _ = spaces[space]
            part = slice(0, old) if kind is products.split else slice(old, None)
            scores[space][part] += product.double().movedim(dim, 0).flatten(1).sum(1)
    chosen = {}
    for space, (old, new) in spaces.items():
        best = torch.argsort(scores[space], stable=True)[: new - old].sort().values
        chosen[space] = Choice(best[best < old], best[best >= old] - old)
    return chosen
