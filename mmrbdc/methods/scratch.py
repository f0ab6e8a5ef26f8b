"""Training the target from random weights: the baseline."""

from dataclasses import dataclass

from mmrbdc.methods.method import Method


@dataclass(frozen=True)
class Scratch(Method):
    """One stage, the target itself."""

    @property
    def from_scratch(self) -> bool:
        """It is."""
        return True


SCRATCH = Scratch(
    "scratch",
    "the target trained from random weights, with all of the FLOPs",
    rank=2,
    colour="#d1580e",
    baseline=True,
)
METHODS = (SCRATCH,)
