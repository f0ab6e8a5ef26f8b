"""A toy residual network: small enough to read, with every kind of axis that families have."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mmrbdc.growth import Axis, Entry, Layout, Space

COLOURS, CLASSES, HEAD = 3, 5, 2


def toy_layout(stream: int, hidden: int) -> Layout:
    """Layout of ``toy_forward``'s weights; ``gate`` fuses two maps, in units of HEAD."""
    classes = Axis.fixed(CLASSES, "the number of classes")
    return Layout(
        spaces={
            "stream": Space("stream", stream, "stream"),
            "hidden": Space("hidden", hidden, "heads", unit=HEAD),
        },
        entries={
            "token": Entry((Axis.fixed(1), Axis.writes("stream")), "token"),
            "embed.weight": Entry((Axis.writes("stream"), Axis.fixed(COLOURS)), "weight"),
            "block.gate.weight": Entry(
                (Axis.writes("hidden", fused=2), Axis.reads("stream")), "weight", 0
            ),
            "block.gate.bias": Entry((Axis.writes("hidden", fused=2),), "bias", 0),
            "block.out.weight": Entry((Axis.writes("stream"), Axis.reads("hidden")), "weight", 0),
            "block.steps": Entry((), "counter", 0),
            "head.weight": Entry((classes, Axis.reads("stream")), "weight"),
            "head.bias": Entry((classes,), "bias"),
        },
    )


def toy_forward(weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """Logits (N, CLASSES) of images (N, COLOURS); nothing in it mixes channels but the weights."""
    stream = images @ weights["embed.weight"].T + weights["token"]
    left, right = (stream @ weights["block.gate.weight"].T + weights["block.gate.bias"]).chunk(2, 1)
    stream = stream + (left * right.relu()) @ weights["block.out.weight"].T
    return stream @ weights["head.weight"].T + weights["head.bias"]


def toy_weights(stream: int, hidden: int, seed: int) -> dict[str, Tensor]:
    """Random weights in float64."""
    generator = torch.Generator().manual_seed(seed)
    layout = toy_layout(stream, hidden)
    weights = {
        name: torch.randn(layout.shape(name), generator=generator, dtype=torch.float64)
        for name in layout.entries
    }
    weights["block.steps"] = torch.tensor(seed)
    return weights


class Toy:
    """The three functions above under one fixture."""

    layout = staticmethod(toy_layout)
    forward = staticmethod(toy_forward)
    weights: Callable[..., dict[str, Tensor]] = staticmethod(toy_weights)


@pytest.fixture
def toy() -> type[Toy]:
    """The toy network."""
    return Toy
