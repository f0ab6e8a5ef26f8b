"""One member becomes a wider child."""

from dataclasses import dataclass

from mmrbdc.methods.method import Method
from mmrbdc.plan import PlanError, Stage
from mmrbdc.wording import counted


@dataclass(frozen=True)
class Widening(Method):
    """As many children as members, each wider than its one parent.

    Attributes:
        inner: whether the operator grows the inner widths of blocks and leaves the width as it is.
    """

    inner: bool = False

    def operator(self, narrow: Stage, wide: Stage) -> str:
        """Return the method's own, at every junction."""
        return self.name

    def check_junction(self, i: int, narrow: Stage, wide: Stage) -> None:
        """Refuse several parents of a child, and stages that do not widen."""
        if narrow.members != wide.members:
            raise PlanError(
                f"stages[{i}] has {counted(narrow.members, 'member')} and stages[{i + 1}] has "
                f"{wide.members}, but {self.name} makes each child of one parent; set "
                f"stages[{i}].members={wide.members}"
            )
        if self.inner and (wide.width != narrow.width or wide.inner <= narrow.inner):
            raise PlanError(
                f"stages[{i}] has width {narrow.width} and inner {narrow.inner}, stages[{i + 1}] "
                f"{wide.width} and {wide.inner}, but {self.name} grows the inner width alone; set "
                f"stages[{i}].width='{wide.width}' and a smaller stages[{i}].inner, such as '1/2'"
            )
        if wide.width < narrow.width or (wide.width, wide.inner) == (narrow.width, narrow.inner):
            raise PlanError(
                f"stages[{i}] has width {narrow.width} and stages[{i + 1}] {wide.width}, but "
                f"{self.name} widens; set a smaller stages[{i}].width"
            )


METHODS = (
    Widening(
        "self-coupling",
        "as RBDC, but with copies of one narrow model as blocks (Staged Training): the control for "
        "whether several different parents matter",
    ),
    Widening(
        "net2net",
        "copies channels of one narrow model at random; what a channel passes on is divided among "
        "its copies, in unequal parts, which lets them become different (Net2Net with LEMON's "
        "remedy)",
    ),
    Widening(
        "net2net-noise",
        "copies channels with equal shares and noise on the weights (Net2Net as published)",
    ),
    Widening(
        "tiling",
        "repeats one narrow model's weights in both directions, with noise that cancels "
        "(HyperCloning)",
    ),
    Widening(
        "aki", "copies channels of one narrow model, new ones from the next layer (bert2BERT)"
    ),
    Widening(
        "gradmax",
        "adds hidden units inside the blocks of a model that has the full width otherwise: units "
        "that change nothing yet, in the directions of the largest gradient",
        inner=True,
    ),
    Widening(
        "firefly",
        "adds hidden units inside the blocks of a model that has the full width otherwise: of many "
        "candidates, split or new ones, those that promise the lowest loss",
        inner=True,
    ),
    Widening(
        "reinit",
        "the narrow stages' FLOPs are spent and their weights thrown away: the other control",
    ),
)
