"""Which parameters train at which level of an unfreezing, and which level a run is at."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

Kind = Literal["interleaved", "last"]


@dataclass(frozen=True)
class Levels:
    """The levels of an unfreezing.

    Source: AutoProg-Zero (arXiv 2410.00350), whose level u of 4 trains the blocks with an index
    that leaves less than u when it is divided by 4, and everything outside of the blocks. Its
    released code compares names by substring, so that its levels 2 and 3 train more; here indices
    are numbers.

    Args:
        kind: ``'interleaved'`` as published. ``'last'`` trains the last parts of the blocks first,
            and everything outside of them but what lies in front of the first (embeddings, a
            ResNet's stem), which trains at the highest level: less of the backward pass is done.
        parts: into which the blocks are divided; the highest level.
    """

    kind: Kind = "interleaved"
    parts: int = 4

    def __post_init__(self) -> None:
        """Check the kind and the number of parts."""
        if self.kind not in get_args(Kind):
            kinds = " or ".join(map(repr, get_args(Kind)))
            raise ValueError(f"an unfreezing's kind is {self.kind!r}; it is {kinds}")
        if isinstance(self.parts, bool) or not isinstance(self.parts, int) or self.parts < 1:
            raise ValueError(f"an unfreezing's parts are {self.parts!r}; give a number from 1")

    def blocks(self, level: int, depth: int) -> list[int]:
        """The blocks, from 0, that train at a level, of a backbone with ``depth`` of them."""
        if self.kind == "interleaved":
            return [block for block in range(depth) if block % self.parts < level]
        return [*range(depth * (self.parts - level) // self.parts, depth)]

    def trained(self, level: int, layers: Mapping[str, int], top: int) -> set[str]:
        """Names of the parameters that train at a level.

        Args:
            level: from 1 to ``parts``.
            layers: the layer of every parameter by name: 0 in front of the first block, 1 and on
                the blocks, ``top`` behind the last.
            top: see ``layers``.
        """
        blocks = {block + 1 for block in self.blocks(level, top - 1)} | {top}
        if self.kind == "interleaved" or level == self.parts:
            blocks.add(0)
        return {name for name, layer in layers.items() if layer in blocks}


@dataclass(frozen=True)
class Schedule:
    """At which part of a run which level begins.

    Args:
        levels: of each stage, in order; they never fall.
        begins: share of the run at which each stage begins, the first at 0; ``None`` for stages of
            equal length.
        parts: the highest level.
    """

    levels: tuple[int, ...]
    begins: tuple[float, ...] | None
    parts: int

    def __post_init__(self) -> None:
        """Check levels and beginnings."""
        if not self.levels or not all(_whole(u) and 1 <= u <= self.parts for u in self.levels):
            raise ValueError(
                f"levels={list(self.levels)} of an unfreezing: each is a number from 1 to "
                f"{self.parts}, its parts"
            )
        if list(self.levels) != sorted(self.levels):
            raise ValueError(
                f"levels={list(self.levels)} of an unfreezing fall: what trains once is not frozen "
                "again; put them in order"
            )
        if self.begins is None:
            return
        begins = list(self.begins)
        if len(begins) != len(self.levels) or begins[0] != 0 or begins != sorted(set(begins)):
            raise ValueError(
                f"begins={begins} of an unfreezing with {len(self.levels)} levels: give one share "
                "of the run for each, rising, the first 0"
            )
        if begins[-1] >= 1:
            raise ValueError(f"begins={begins} of an unfreezing: each is below 1, the run's end")

    def iterations(self, total: int) -> list[int]:
        """The iteration, from 0, at which each stage of a run of ``total`` begins.

        Raises:
            ValueError: a stage would have none.
        """
        count = len(self.levels)
        shares: Sequence[Fraction | float]
        shares = self.begins or [Fraction(stage, count) for stage in range(count)]
        found = [int(share * total) for share in shares]
        if len(set(found)) < count or found[-1] >= total:
            raise ValueError(
                f"an unfreezing of {count} stages in {total} iterations: some would have none; "
                "train longer, or give fewer levels"
            )
        return found

    def stage(self, iteration: int, total: int) -> int:
        """The stage, from 0, that an iteration belongs to."""
        return bisect_right(self.iterations(total), iteration) - 1


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
