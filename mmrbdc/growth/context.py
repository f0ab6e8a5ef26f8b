"""What operators that grow with data ask of whoever runs them, and what that costs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


@dataclass(frozen=True)
class Work:
    """A part of an operator's one-off cost: images that pass once forward and backward.

    Attributes:
        images: how many.
        sizes: of the spaces of the network that they pass, by name.
        trained: names of the tensors whose gradients are asked for.
    """

    images: int
    sizes: Mapping[str, int]
    trained: frozenset[str]


class Context(Protocol):
    """Training data and the child's loss as a function of its tensors.

    Whoever implements it charges every call of :meth:`loss` to the ledger.
    """

    @property
    def samples(self) -> int:
        """Images in one epoch."""

    def batches(self, images: int, size: int | None = None) -> Iterator[Any]:
        """Give training batches of that many images in all, shuffled, the same every time.

        Args:
            images: in all; more than an epoch has come again.
            size: of a batch; the recipe's by default.
        """

    def loss(self, state: Mapping[str, Tensor], batch: Any, *, training: bool = False) -> Tensor:
        """Return the mean training loss of a batch, a scalar.

        Args:
            state: all tensors of the child's architecture; spaces inside of blocks may have other
                sizes than the child's. Not changed: statistics of norms are updated in a copy.
                Gradients of those with ``requires_grad`` are charged.
            batch: one of :meth:`batches`.
            training: let norms use the batch's statistics. Nothing is drawn either way.
        """

    def initial(self) -> dict[str, Tensor]:
        """Return the child as its recipe initialises it, without parents."""
