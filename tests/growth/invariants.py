"""What the tests of the widening operators' invariants share: real parents, children, checks.

The checks read tensors and the layout only; none asks an operator how it made its child.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from mmrbdc.families import architecture_from_config
from mmrbdc.growth import Layout, grow
from tests.families.conftest import Zoo

FAMILIES = ("deit", "resnet")
EXACT = 1e-10
STEPS = 2
"""Of SGD after which every pair of copies has had the chance to part, in every operator."""

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Case:
    """Parents with random weights and statistics in float64, and what their child must look like.

    Attributes:
        config: The child's.
        narrow: The parents'.
        layout: The child's.
        ratio: The child's width over the parents'.
        parents: Their tensors; shared among tests and not to be changed.
    """

    config: dict[str, Any]
    narrow: dict[str, Any]
    layout: Layout
    ratio: int
    parents: tuple[State, ...]

    @property
    def parent(self) -> State:
        """The only parent."""
        (parent,) = self.parents
        return parent

    def grow(self, operator: str, seed: int = 5) -> dict[str, Tensor]:
        """Tensors of the child that an operator makes."""
        generator = torch.Generator().manual_seed(seed)
        found = grow(self.parents, self.layout, operator=operator, generator=generator)
        return found.state_dict

    def model(self, state: State) -> nn.Module:
        """A child in eval mode."""
        return model_of(self.config, state)

    def sizes(self) -> dict[str, int]:
        """Of the parents' spaces."""
        return self.layout.space_sizes(self.parents[0], "the parent")

    def tiled_sources(self) -> dict[str, Tensor]:
        """For every space: channel j copies channel j modulo the parent's width."""
        return {name: torch.arange(s * self.ratio) % s for name, s in self.sizes().items()}


@cache
def case(family: str, ratio: int = 2, seeds: tuple[int, ...] = (1,)) -> Case:
    """A DeiT of 2 layers and 4 heads, or 2 stages of bottlenecks, made of parents so much narrower.

    Args:
        family: One of FAMILIES.
        ratio: The child's width over the parents'.
        seeds: One per parent.
    """
    stages = dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,))
    config = (
        Zoo.deit()
        if family == "deit"
        else Zoo.resnet(depth=50, base_channels=8, stem_channels=8, **stages)
    )
    arch = architecture_from_config(config)
    narrow = arch.scaled(1 / ratio).classifier_config(config)
    parents = tuple(Zoo.build(narrow, seed).double().state_dict() for seed in seeds)
    return Case(config, narrow, arch.layout(), ratio, parents)


def model_of(config: Mapping[str, Any], state: State) -> nn.Module:
    """A classifier in eval mode and float64; it owns its tensors."""
    model = Zoo.build(config).double()
    model.load_state_dict(state)
    return model


def gap(own: Case, child: State) -> float:
    """How far a child's logits are from its parents' mean, relative."""
    size = (2, 3, 32, 32)
    images = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parents = [model_of(own.narrow, parent) for parent in own.parents]
    return Zoo.mean_error(own.model(child), parents, images)


def assert_same_function(own: Case, child: State) -> None:
    found = gap(own, child)
    assert found < EXACT, found


def by_channel(tensor: Tensor, dim: int, fused: int) -> Tensor:
    """The numbers of every channel of one axis, those of its fused maps together: (channels, n)."""
    return tensor.movedim(dim, 0).unflatten(0, (fused, -1)).transpose(0, 1).flatten(1)


def gathered(tensor: Tensor, dim: int, fused: int, source: Tensor) -> Tensor:
    """The channels ``source`` of every fused map."""
    return torch.cat([part.index_select(dim, source) for part in tensor.chunk(fused, dim)], dim)


def along(values: Tensor, dim: int, like: Tensor) -> Tensor:
    """A vector in the shape that goes along one dimension."""
    return values.reshape([-1 if d == dim else 1 for d in range(like.ndim)]).to(like)


def copied_channels(parent: State, child: State, layout: Layout) -> dict[str, Tensor]:
    """For every space which channel of the parent each channel of the child copies.

    Read off the tensors that no operator rescales or puts noise on: biases, norms, statistics,
    tokens and positions.
    """
    sources = {}
    for space in layout.spaces:
        old, new = (
            torch.cat(
                [
                    by_channel(state[name], dim, axis.fused)
                    for name, entry in layout.entries.items()
                    for dim, axis in enumerate(entry.axes)
                    if entry.role != "weight" and axis.space == space
                ],
                1,
            )
            for state in (parent, child)
        )
        same = (new[:, None] == old).all(-1)
        assert same.sum(1).eq(1).all(), f"a channel of {space} is no copy of one old channel"
        sources[space] = same.int().argmax(1)
    return sources


def widened_by_hand(
    parent: State, layout: Layout, sources: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The child of equal shares: ``W'[i, j] = W[g(i), g(j)] / c(g(j))``, what writes is copied."""
    child = {}
    for name, entry in layout.entries.items():
        tensor = parent[name]
        for dim, axis in enumerate(entry.axes):
            if axis.space is None:
                continue
            source = sources[axis.space]
            tensor = gathered(tensor, dim, axis.fused, source)
            if axis.mode == "reads":
                counts = torch.bincount(source)[source].repeat(axis.fused)
                tensor = tensor / along(counts, dim, tensor)
        child[name] = tensor
    return child


def is_map(layout: Layout, name: str) -> bool:
    """Whether a tensor maps a space to a space."""
    return layout.entries[name].writes_space and layout.entries[name].reads_space


def reading_dim(layout: Layout, name: str) -> int:
    """The dimension of a tensor that reads a space."""
    return next(d for d, axis in enumerate(layout.entries[name].axes) if axis.mode == "reads")


def rms(tensor: Tensor) -> float:
    """Root of the mean square."""
    return float(tensor.square().mean().sqrt())


def gradients(own: Case, child: State, steps: int) -> dict[str, Tensor]:
    """A child's gradients in training, after that many steps of SGD."""
    draw = torch.Generator().manual_seed(0)
    model = own.model(child)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(steps + 1):
        images = torch.randn(6, 3, 32, 32, generator=draw, dtype=torch.float64)
        labels = torch.randint(5, (6,), generator=draw)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        if step < steps:
            optimizer.step()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def gaps_of_copies(
    own: Case, child: State, sources: Mapping[str, Tensor], steps: int
) -> dict[str, float]:
    """By parameter that writes a space: the largest difference of copies' gradients, relative."""
    found = {}
    for name, gradient in gradients(own, child, steps).items():
        for dim, axis in enumerate(own.layout.entries[name].axes):
            if axis.mode != "writes":
                continue
            source = sources[axis.space]
            assert len(source.unique()) < len(source), f"nothing in {axis.space} has a copy"
            first = (source[:, None] == source).int().argmax(1)
            rows = by_channel(gradient, dim, axis.fused)
            assert rows.abs().max() > 0, name
            found[name] = float((rows - rows[first]).abs().max() / rows.abs().max())
    return found


def assert_copies_stay_alike(own: Case, child: State, sources: Mapping[str, Tensor]) -> None:
    """All copies of one channel have equal gradients, at once and after steps of training."""
    for steps in (0, STEPS):
        found = gaps_of_copies(own, child, sources, steps)
        assert max(found.values()) < 1e-8, found


def assert_copies_part(
    own: Case, child: State, sources: Mapping[str, Tensor], steps: int, least: float = 1e-3
) -> None:
    """In every tensor that writes a space, copies of one channel have different gradients."""
    found = gaps_of_copies(own, child, sources, steps)
    assert min(found.values()) > least, {n: g for n, g in found.items() if g <= least}
