"""Deep Incubation: modules are trained inside a small frozen model, then assembled.

ICCV 2023, arXiv 2212.04129. A meta model of one block per module is trained; each module, of fresh
blocks, is trained inside a hybrid in which the frozen meta model stands in for the other modules;
the modules are assembled into the target, which is trained on.

Where this differs from the released code: what nobody trains gets no gradient, behind the module
too; tokens and positions have no weight decay in the modular stage either; the learning rate is not
one epoch late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mmrbdc.growth.operators.blocks.incubation import module_blocks
from mmrbdc.methods.method import Method
from mmrbdc.plan import Grow, Member, PlanError, Publish, Score, Stage, Step, Train

META, MODULES, TARGET = range(3)


@dataclass(frozen=True)
class DeepIncubation(Method):
    """Three stages: the meta model, one hybrid per module, the target."""

    def operator(self, narrow: Stage, wide: Stage) -> str:
        """Return that of the hybrids, then that of the target."""
        return "assembly" if narrow.members > 1 else "incubation"

    def parents(self, narrow: Stage, wide: Stage, child: int) -> tuple[int, ...]:
        """Return the meta model for each hybrid, all hybrids for the target."""
        return tuple(range(narrow.members))

    def steps(self, stages: Sequence[Stage]) -> tuple[Step, ...]:
        """Return the usual ones, each hybrid with the number of its module."""
        count = stages[MODULES].members
        hybrids = tuple(Member(MODULES, i) for i in range(count))
        meta = (Member(META, 0),)
        return (
            Train(META, (0,)),
            *(
                Grow(MODULES, i, meta, "incubation", (("module", i), ("modules", count)))
                for i in range(count)
            ),
            Score(MODULES, (meta,) * count),
            Train(MODULES, tuple(range(count))),
            Grow(TARGET, 0, hybrids, "assembly"),
            Score(TARGET, (hybrids,)),
            Train(TARGET, (0,)),
            Publish(TARGET),
        )

    def frozen(self, stages: Sequence[Stage], i: int) -> tuple[tuple[str, ...], ...]:
        """Return all of each hybrid but its module; the first has the front, the last the back."""
        if i != MODULES:
            return ()
        count = stages[MODULES].members
        depth = int(self._target_blocks(stages) * stages[MODULES].depth)
        found = []
        for module in range(count):
            own = module_blocks(depth, module, count)
            ends = ("front",) * (module > 0) + ("back",) * (module < count - 1)
            found.append((*ends, *(f"block {b}" for b in range(depth) if b not in own)))
        return tuple(found)

    def check(self, stages: Sequence[Stage]) -> None:
        """Refuse other stages than the three, and depths that do not fit each other."""
        if len(stages) != len((META, MODULES, TARGET)):
            raise PlanError(
                f"method {self.name!r} has three stages, the meta model, the hybrids and the "
                f"target, got {len(stages)}"
            )
        meta, hybrids, _ = stages
        for i, stage in enumerate(stages):
            for key in ("width", "inner"):
                if getattr(stage, key) != 1:
                    raise PlanError(
                        f"stages[{i}] has {key}={getattr(stage, key)}, but {self.name} grows in "
                        f"depth alone; set stages[{i}].{key}=1"
                    )
        if meta.members != 1 or hybrids.members < 2:
            raise PlanError(
                f"stages[0] has members={meta.members} and stages[1] members={hybrids.members}; "
                f"{self.name} has one meta model, and one hybrid for each of two or more modules"
            )
        count = hybrids.members
        blocks = self._target_blocks(stages)
        if blocks.denominator != 1 or blocks % count:
            raise PlanError(
                f"stages[0] has depth={meta.depth} and stages[1] {count} modules: the target would "
                f"have {blocks} blocks, which {count} modules cannot share; the meta model has one "
                f"block per module, so of L blocks write stages[0].depth='{count}/L', with L a "
                f"multiple of {count}"
            )
        wanted = Fraction(blocks / count + count - 1) / blocks
        if hybrids.depth != wanted:
            raise PlanError(
                f"stages[1] has depth={hybrids.depth}; a hybrid has its module and one block for "
                f"each other module: set stages[1].depth='{wanted}'"
            )
        super().check(stages)

    def check_junction(self, i: int, narrow: Stage, wide: Stage) -> None:
        """Refuse nothing more: :meth:`check` sees all stages."""

    @staticmethod
    def _target_blocks(stages: Sequence[Stage]) -> Fraction:
        """Blocks of the target: the meta model has one per module."""
        return stages[MODULES].members / stages[META].depth


METHODS = (
    DeepIncubation(
        "deep-incubation",
        "modules of fresh blocks, each trained inside a small frozen meta model that stands in for "
        "the others, are assembled into the target, which is trained on",
        label="Deep Incubation",
    ),
)
