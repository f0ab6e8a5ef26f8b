"""What a method says of itself."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmrbdc.plan import (
    Grow,
    Member,
    Outcome,
    PlanError,
    Progression,
    Publish,
    Score,
    Stage,
    Step,
    Train,
)
from mmrbdc.search import SubNet


@dataclass(frozen=True)
class Method:
    """One training system: a protocol is what its method makes of it.

    Attributes:
        name: ``protocol.method``; of work dirs, ledgers and published files too.
        about: one line that a ranking says of it, without a full stop.
        label: what readers call it; the name where none is given.
        rank: place in tables and legends: the paper's method 0, others 1, training from scratch 2.
        colour: in charts; ``None`` for the next that is free.
        baseline: whether a ranking compares every other method with it.
        depth_operator: how depth grows where a protocol does not say it.
        resizes: whether ``protocol.resize`` may choose what makes images smaller.
        makes_stages: whether the method makes its own stages from ``protocol.progression``.
    """

    name: str
    about: str
    label: str = ""
    rank: int = 1
    colour: str | None = None
    baseline: bool = False
    depth_operator: str = "stack"
    resizes: bool = False
    makes_stages: bool = False

    @property
    def title(self) -> str:
        """What readers call it."""
        return self.label or self.name

    @property
    def from_scratch(self) -> bool:
        """Whether it is training from random weights: one stage, no junction."""
        return False

    def progression(self, settings: Any, cfg: Mapping[str, Any]) -> Progression:
        """How a method makes its own stages, from what ``protocol.progression`` says.

        Args:
            settings: what the config says there; ``None`` for nothing.
            cfg: the config.
        """
        raise NotImplementedError(f"method {self.name!r} makes no stages of its own")

    def stages(
        self, progression: Progression, chosen: Mapping[int, SubNet], *, largest: bool = True
    ) -> tuple[Stage, ...]:
        """The stages of a method that makes its own, as far as they are decided.

        Args:
            progression: what the config says.
            chosen: what each finished search has found, by the number of its stage.
            largest: whether an undecided search is taken to find its largest candidate, or its
                smallest.
        """
        raise NotImplementedError(f"method {self.name!r} makes no stages of its own")

    def operator(self, narrow: Stage, wide: Stage) -> str:
        """Name of the growth operator between two stages."""
        raise NotImplementedError(f"method {self.name!r} names no growth operator")

    def parents(self, narrow: Stage, wide: Stage, child: int) -> tuple[int, ...]:
        """Numbers of the members that become a child, in the order in which they are placed.

        Equal groups in a row, unless a method says otherwise.
        """
        group = narrow.members // wide.members
        return tuple(range(child * group, (child + 1) * group))

    def frozen(self, stages: Sequence[Stage], i: int) -> tuple[tuple[str, ...], ...]:
        """Parts that each member of a stage keeps as they are: ``'front'``, ``'back'``,
        ``'block 0'`` and so on, see :meth:`mmrbdc.growth.Layout.names_in`.

        One tuple per member; empty where all of them train everything. What is named is not
        trained, and costs less.
        """
        return ()

    def steps(self, stages: Sequence[Stage]) -> tuple[Step, ...]:
        """All steps that a protocol of these stages may take, in order.

        Every stage grows its members, scores them and trains them; the last one's is published.
        """
        found: list[Step] = []
        for i, wide in enumerate(stages):
            if i:
                narrow = stages[i - 1]
                parents = tuple(
                    tuple(Member(i - 1, k) for k in self.parents(narrow, wide, child))
                    for child in range(wide.members)
                )
                operator = self.operator(narrow, wide)
                found += [Grow(i, child, group, operator) for child, group in enumerate(parents)]
                found.append(Score(i, parents))
            found.append(Train(i, tuple(range(wide.members))))
        return (*found, Publish(len(stages) - 1))

    def may_skip(self, stages: Sequence[Stage]) -> frozenset[int]:
        """Numbers of stages that what is found on the way may leave out; none where the steps are
        known before anything runs.
        """
        return frozenset()

    def next_step(self, stages: Sequence[Stage], outcomes: Mapping[Step, Outcome]) -> Step | None:
        """The step that follows those that are finished; ``None`` at the end.

        A method that searches decides by the outcomes, and by nothing else: after a kill it is
        asked again, with the outcomes that were left.

        Args:
            stages: of the protocol.
            outcomes: of all finished steps, in the order in which they ran.
        """
        return next((step for step in self.steps(stages) if step not in outcomes), None)

    def check(self, stages: Sequence[Stage]) -> None:
        """Refuse stages that the method does not take.

        Raises:
            PlanError: what is wrong, and what to write instead.
        """
        self._check_count(stages)
        self._check_last(stages[-1])
        for i, (narrow, wide) in enumerate(itertools.pairwise(stages)):
            self.check_junction(i, narrow, wide)
            self._check_rising(i, narrow, wide)

    def check_junction(self, i: int, narrow: Stage, wide: Stage) -> None:
        """Refuse two stages that cannot follow each other; ``i`` is the first one's number."""
        raise NotImplementedError(f"method {self.name!r} has no rule for junctions")

    def _check_count(self, stages: Sequence[Stage]) -> None:
        if self.from_scratch != (len(stages) == 1):
            count = f"{len(stages)} stage" + ("" if len(stages) == 1 else "s")
            raise PlanError(
                f"method {self.name!r} with {count}: 'scratch' has exactly one stage and every "
                "other method at least two"
            )

    @staticmethod
    def _check_last(last: Stage) -> None:
        if last.members != 1 or last.width != 1:
            raise PlanError(
                f"the last stage has members={last.members}, width={last.width}; it must be the "
                "target itself: members=1, width=1"
            )
        for key in ("depth", "inner"):
            if getattr(last, key) != 1:
                raise PlanError(
                    f"the last stage has {key}={getattr(last, key)}; it must be the target "
                    f"itself: leave its {key} out"
                )

    @staticmethod
    def _check_rising(i: int, narrow: Stage, wide: Stage) -> None:
        for key in ("depth", "inner"):
            before, after = getattr(narrow, key), getattr(wide, key)
            if after < before:
                raise PlanError(
                    f"{key} falls from {before} in stages[{i}] to {after} in stages[{i + 1}]; it "
                    f"may only grow: set stages[{i}].{key}='{after}' or less"
                )
