"""Where the numbers of a child come from: what an operator says of each tensor that it makes."""

from dataclasses import dataclass
from enum import Enum
from math import prod


class Rule(str, Enum):
    """How a tensor is made, where operators go by it; reports show the words."""

    COPIED = "copied"
    MEAN = "mean"
    SUM = "sum"
    PLACED = "placed"
    SHARED = "placed/k"
    """Placed and divided by the number of parents."""
    MIXED = "mixed"

    __str__ = str.__str__


@dataclass(frozen=True)
class Block:
    """A box of a child's tensor that holds one parent's numbers.

    Attributes:
        parent: index of the parent.
        ranges: start and stop along each dimension of the child's tensor.
    """

    parent: int
    ranges: tuple[tuple[int, int], ...]

    @property
    def slices(self) -> tuple[slice, ...]:
        """The box as an index into the child's tensor."""
        return tuple(slice(start, stop) for start, stop in self.ranges)

    @property
    def numel(self) -> int:
        """Numbers in the box."""
        return prod(stop - start for start, stop in self.ranges)


@dataclass(frozen=True)
class Placement:
    """How one tensor of a child is made.

    Attributes:
        rule: in a word: a :class:`Rule`, or words of the operator's own.
        blocks: the boxes that hold single parents' numbers; empty when none does.
    """

    rule: str
    blocks: tuple[Block, ...] = ()
