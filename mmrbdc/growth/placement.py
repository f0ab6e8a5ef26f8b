"""Where the numbers of a child come from: what an operator says of each tensor that it makes."""

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Block:
    """A box of a child's tensor that holds one parent's numbers.

    Attributes:
        parent: Index of the parent.
        ranges: Start and stop along each dimension of the child's tensor.
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
        rule: In a word: ``placed``, ``placed/k`` (divided by the number of parents), ``mean``,
            ``copied``; other operators have words of their own.
        blocks: The boxes that hold single parents' numbers; empty when none does.
    """

    rule: str
    blocks: tuple[Block, ...] = ()
