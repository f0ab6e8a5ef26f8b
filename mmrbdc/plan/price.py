"""What an iteration costs, member by member."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mmrbdc.plan.errors import PlanError
from mmrbdc.plan.feed import Feed


@dataclass(frozen=True)
class Price:
    """Training FLOPs of a sample for each member of a stage, from iteration to iteration.

    Args:
        changes: (iteration, one figure per member), by rising iteration, the first 0; each holds
            until the next.

    Raises:
        PlanError: no first iteration, iterations that do not rise, or figures of another number of
            members.
    """

    changes: tuple[tuple[int, tuple[int, ...]], ...]

    def __post_init__(self) -> None:
        iters = [since for since, _ in self.changes]
        counts = {len(figures) for _, figures in self.changes}
        if not iters or iters[0] != 0 or any(a >= b for a, b in pairwise(iters)):
            raise PlanError(
                f"a price has changes at the iterations {iters}; the first must be 0, each after "
                "the one before"
            )
        if len(counts) != 1 or 0 in counts:
            raise PlanError(
                f"a price has figures for {' and '.join(map(str, sorted(counts)))} members; give "
                "one per member at every change"
            )

    @classmethod
    def constant(cls, figures: Sequence[int]) -> "Price":
        """A price that does not change; one figure per member."""
        return cls(((0, tuple(figures)),))

    @property
    def members(self) -> int:
        """How many members it is of."""
        return len(self.changes[0][1])

    def at(self, iteration: int) -> tuple[int, ...]:
        """FLOPs of a sample in an iteration, counted from 0; one figure per member."""
        return next(figures for since, figures in reversed(self.changes) if since <= iteration)

    def of_members(self, indices: Sequence[int]) -> "Price":
        """The price of some members, by their positions."""
        return Price(
            tuple((since, tuple(figures[i] for i in indices)) for since, figures in self.changes)
        )

    def spent(self, feed: Feed, iters: int) -> tuple[int, ...]:
        """Training FLOPs of each member in the first ``iters`` iterations."""
        ends = [since for since, _ in self.changes[1:]] + [iters]
        total = [0] * self.members
        for (since, figures), end in zip(self.changes, ends, strict=True):
            samples = feed.samples_in(min(end, iters)) - feed.samples_in(min(since, iters))
            total = [sum_ + figure * samples for sum_, figure in zip(total, figures, strict=True)]
        return tuple(total)
