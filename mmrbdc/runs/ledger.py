"""The ledger: what the finished steps of a protocol really spent, stage by stage."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmrbdc.runs.cost import Cost, flops_of
from mmrbdc.weights import write_json


@dataclass(frozen=True)
class StageSpent:
    """What a stage spent; one that was grown and not trained has no samples.

    Attributes:
        name: its folder.
        members: how many it has.
        samples: that its members have processed, in every run of it once.
        iters: iterations of all its runs.
        flops: of all its steps; one multiply-add is 2.
        wall_s: seconds of all its steps.
    """

    name: str
    members: int
    samples: int
    iters: int
    flops: float
    wall_s: float

    @classmethod
    def of(cls, name: str, members: int, costs: Sequence[Cost]) -> "StageSpent | None":
        """Sum the costs of a stage; ``None`` before it spent anything."""
        trained = [cost for cost in costs if cost.step == "train"]
        if not costs:
            return None
        return cls(
            name=name,
            members=members,
            samples=sum(cost.samples for cost in trained),
            iters=sum(cost.iters for cost in trained),
            flops=flops_of(costs),
            wall_s=sum(cost.wall_s for cost in costs),
        )


@dataclass(frozen=True)
class Ledger:
    """What a protocol spent.

    Attributes:
        stages: those that were begun, in order.
    """

    stages: tuple[StageSpent, ...]

    @property
    def total_flops(self) -> float:
        """Of all stages."""
        return sum(stage.flops for stage in self.stages)

    @property
    def wall_s(self) -> float:
        """Seconds of all stages."""
        return sum(stage.wall_s for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``ledger.json``."""
        return dict(
            unit="FLOPs; one multiply-add is 2",
            total_flops=self.total_flops,
            stages=[asdict(stage) for stage in self.stages],
        )

    def write(self, path: Path) -> None:
        """Write it as ``ledger.json``, whole or not at all."""
        write_json(path, self.to_dict())
