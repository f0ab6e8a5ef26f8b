"""One model of the full width whose images, and for DeiT its depth, grow from stage to stage.

The control for results on smaller images or fewer layers: it spends its narrow stages' FLOPs on
fewer pixels and blocks, as a coupled method may, and on no narrow members.
"""

from dataclasses import dataclass
from math import inf

from mmrbdc.methods.method import Method
from mmrbdc.plan import PlanError, Stage


@dataclass(frozen=True)
class Progressive(Method):
    """Stages of one member of width 1; each grows in image size or depth."""

    def operator(self, narrow: Stage, wide: Stage) -> str:
        """Return ``keep``: depth and position tables grow before any operator works."""
        return "keep"

    def check_junction(self, i: int, narrow: Stage, wide: Stage) -> None:
        """Refuse narrow stages, several members, and two stages that are alike."""
        for key, wanted in (("members", 1), ("width", 1), ("inner", 1)):
            if getattr(narrow, key) != wanted:
                raise PlanError(
                    f"stages[{i}] has {key}={getattr(narrow, key)}, but {self.name} trains one "
                    f"model of the full width; set stages[{i}].{key}={wanted}"
                )
        if narrow.depth == wide.depth and (narrow.img_size or inf) == (wide.img_size or inf):
            raise PlanError(
                f"nothing grows from stages[{i}] to stages[{i + 1}]; give stages[{i}] a smaller "
                "img_size, or a depth such as '1/2'"
            )


METHODS = (
    Progressive(
        "progressive",
        "one model of the full width that sees small images first, or has few layers first: the "
        "control for methods whose narrow stages do",
        resizes=True,
    ),
)
