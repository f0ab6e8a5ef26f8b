"""How training data arrive: epochs, iterations and samples."""

import math
from dataclasses import dataclass

from mmrbdc.plan.errors import PlanError


@dataclass(frozen=True)
class Feed:
    """How training data arrive: the arithmetic between epochs, iterations and samples.

    Args:
        samples: samples in one epoch, over all processes.
        batch_size: samples in one iteration, over all processes.
        drop_last: whether an incomplete last batch is left out.
    """

    samples: int
    batch_size: int
    drop_last: bool = False

    def __post_init__(self) -> None:
        for name in ("samples", "batch_size"):
            if getattr(self, name) < 1:
                raise PlanError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.iters_per_epoch == 0:
            raise PlanError(
                f"an epoch of {self.samples} samples has no complete batch of {self.batch_size}, "
                "and drop_last leaves the incomplete one out; use a smaller batch"
            )

    @property
    def iters_per_epoch(self) -> int:
        """Iterations in one full epoch."""
        if self.drop_last:
            return self.samples // self.batch_size
        return math.ceil(self.samples / self.batch_size)

    def iters(self, epochs: float) -> int:
        """Iterations in ``epochs`` epochs; the last epoch may be a partial one."""
        return max(1, round(epochs * self.iters_per_epoch))

    def iters_within(self, samples: float) -> int:
        """The most iterations that process no more than so many samples; 0 for less than one."""
        per_epoch = self.samples_in(self.iters_per_epoch)
        epochs, rest = divmod(max(0, math.floor(samples)), per_epoch)
        return epochs * self.iters_per_epoch + rest // self.batch_size

    def samples_of(self, batches: int) -> int:
        """Samples of so many batches of one epoch; all of it where it has fewer."""
        return min(batches * self.batch_size, self.samples)

    def samples_in(self, iters: int) -> int:
        """Samples really processed in ``iters`` iterations."""
        full, rest = divmod(iters, self.iters_per_epoch)
        per_epoch = self.iters_per_epoch * self.batch_size if self.drop_last else self.samples
        return full * per_epoch + rest * self.batch_size
