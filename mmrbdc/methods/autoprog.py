"""AutoProg: one model grows in depth and image size; an elastic supernet decides how far.

CVPR 2022, arXiv 2203.14509 (AutoProg-One of arXiv 2410.00350's authors). At the start of a stage
the model is grown into a supernet, whose sub-nets, of fewer blocks and smaller images, are trained
for a moment by turns and judged; the one that is furthest below the fitted law of loss over cost is
taken out of it and trained on. New blocks come from a moving average of the weights (MoGrow).
``autoprog-manual`` takes the grid as it is and does not search.

Where this differs from the released code: a sub-net runs the blocks that it is taken out with,
counted from the current depth; sub-nets of all depths keep the weights they were trained with, and
only growth takes the average; candidates are judged on the same plain images each time, in
evaluation mode, by one average that is fitted to the length of the run; ties go to the cheaper one;
a stage with nothing left to search trains for its whole length, with its own regularisation; all
that a search takes is charged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mmrbdc.methods.method import Method
from mmrbdc.methods.progression import read_progression
from mmrbdc.plan import (
    Grow,
    Member,
    Progression,
    Publish,
    Score,
    Search,
    Stage,
    Step,
    Train,
)
from mmrbdc.search import SubNet, candidates, supernet


@dataclass(frozen=True)
class AutoProg(Method):
    """Stages of one member, each but the last behind its search if there is one.

    Attributes:
        searches: whether a search decides how far each stage grows; else the grid does.
    """

    depth_operator: str = "adjacent-last"
    makes_stages: bool = True
    searches: bool = True

    def progression(self, settings: Any, cfg: Mapping[str, Any]) -> Progression:
        """Read ``protocol.progression``."""
        return read_progression(settings, cfg, searches=self.searches)

    def stages(
        self, progression: Progression, chosen: Mapping[int, SubNet], *, largest: bool = True
    ) -> tuple[Stage, ...]:
        """Return the searches and stages, as far as they are decided."""
        grid, found = progression.grid, list[Stage]()
        current = SubNet(grid.depths[0], grid.img_sizes[0])
        for k in range(progression.stages):
            tried = candidates(grid, k, current) if self.searches else ()
            if self.searches and k < progression.stages - 1:
                found.append(self._search(progression, k, current, tried))
            if tried:
                undecided = tried[-1] if largest else tried[0]
                current = chosen.get(len(found) - 1, undecided)
            elif not self.searches or k == progression.stages - 1:
                current = SubNet(grid.depths[k], grid.img_sizes[k])
            found.append(self._stage(progression, current, ramp=progression.ramp_of(k)))
        return tuple(found)

    def _search(
        self, progression: Progression, k: int, current: SubNet, tried: tuple[SubNet, ...]
    ) -> Stage:
        search = Search(
            number=k,
            current=current.depth,
            candidates=tried or (current,),
            evaluations=progression.evaluations,
            batches=progression.batches,
            cost=progression.cost,
        )
        return self._stage(
            progression,
            supernet(search.candidates),
            epochs=progression.search_epochs,
            search=search,
            skipped=not tried,
        )

    @staticmethod
    def _stage(progression: Progression, net: SubNet, epochs: float = 1, **more: Any) -> Stage:
        return Stage(
            members=1,
            width=Fraction(1),
            epochs=epochs,
            depth=Fraction(net.depth, progression.blocks),
            img_size=net.img_size,
            resize="preprocessor",
            **more,
        )

    def operator(self, narrow: Stage, wide: Stage) -> str:
        """Return ``extraction`` behind a search, ``keep`` elsewhere: depth grows before it."""
        return "extraction" if narrow.search and not narrow.skipped else "keep"

    def steps(self, stages: Sequence[Stage]) -> tuple[Step, ...]:
        """Return the usual ones, without those of searches that are left out."""
        found: list[Step] = []
        parent: int | None = None
        for i, stage in enumerate(stages):
            if stage.skipped:
                continue
            if parent is not None:
                search = stages[parent].search
                operator = "extraction" if search else "keep"
                options = self._options(search) if search else ()
                member = Member(parent, 0)
                found += [Grow(i, 0, (member,), operator, options), Score(i, ((member,),))]
            found.append(Train(i, (0,)))
            parent = i
        return (*found, Publish(len(stages) - 1))

    @staticmethod
    def _options(search: Search) -> tuple[tuple[str, int], ...]:
        """What tells the blocks that a sub-net is taken out with."""
        whole = supernet(search.candidates).depth
        return (("current", search.current), ("supernet", whole))

    def may_skip(self, stages: Sequence[Stage]) -> frozenset[int]:
        """Return the searches but the first, which a model that is whole already leaves out."""
        return frozenset(i for i, stage in enumerate(stages) if i and stage.search)

    def check(self, stages: Sequence[Stage]) -> None:
        """Refuse nothing: the stages are the method's own."""


METHODS = (
    AutoProg(
        "autoprog",
        "one model of the full width that grows in depth and image size; an elastic supernet, "
        "trained for a moment at each stage's start, decides how far",
        label="AutoProg",
    ),
    AutoProg(
        "autoprog-manual",
        "as AutoProg, but without a search: depth and image size grow evenly from stage to stage",
        label="AutoProg, manual",
        searches=False,
    ),
)
