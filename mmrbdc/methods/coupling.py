"""Several members become a child whose width is the sum of theirs."""

from dataclasses import dataclass

from mmrbdc.methods.method import Method
from mmrbdc.plan import PlanError, Stage
from mmrbdc.wording import counted


@dataclass(frozen=True)
class Coupling(Method):
    """Members of equal width in equal groups, each group one child.

    Attributes:
        by: name of the growth operator; the method's own where none is given.
    """

    by: str = ""

    def operator(self, narrow: Stage, wide: Stage) -> str:
        """Return the same at every junction."""
        return self.by or self.name

    def check_junction(self, i: int, narrow: Stage, wide: Stage) -> None:
        """Refuse unequal groups, widths that do not sum, and inner widths that differ."""
        group, rest = divmod(narrow.members, wide.members)
        if rest or group < 2:
            raise PlanError(
                f"stages[{i}] has {counted(narrow.members, 'member')} and stages[{i + 1}] has "
                f"{wide.members}: each child needs the same number of parents, at least 2; use a "
                f"multiple of {wide.members} in stages[{i}]"
            )
        if wide.width != group * narrow.width:
            raise PlanError(
                f"a child of stages[{i + 1}] has width {wide.width}, but its {group} parents of "
                f"width {narrow.width} sum to {group * narrow.width}; set stages[{i}].width="
                f"'{wide.width / group}'"
            )
        if wide.inner != narrow.inner:
            raise PlanError(
                f"stages[{i}] has inner={narrow.inner} and stages[{i + 1}] {wide.inner}, but "
                "coupling grows all widths alike; leave inner out"
            )


RBDC = Coupling(
    "rbdc",
    "several narrow models of different seeds become the diagonal blocks of a model as wide as all "
    "of them together, with zeros between the blocks, which is trained on",
    label="RBDC",
    rank=0,
    colour="#0b66b3",
    baseline=True,
    by="block-diagonal",
)
AVERAGING = Coupling(
    "averaging", "the mean of several narrow models, repeated to the width: the naive baseline"
)
METHODS = (RBDC, AVERAGING)
