"""What the steps of a protocol spent: one ``cost.json`` each, whose sum is the ledger."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mmrbdc.runs.records import read_record
from mmrbdc.shipped import command
from mmrbdc.weights import write_json

COST_FILE = "cost.json"
STEPS = ("grow", "score", "train")
WRITTEN_BY = f"{command('train')}, which makes it again with --resume once it is removed"


@dataclass(frozen=True)
class Cost:
    """What one step spent.

    Attributes:
        step: its kind, one of ``STEPS``.
        stage: number of its stage.
        members: their numbers in the stage.
        fingerprint: of the stage's configuration and of all before it.
        flops: training FLOPs; one multiply-add is 2.
        samples: that each member has processed.
        iters: iterations.
        wall_s: seconds.
    """

    step: str
    stage: int
    members: tuple[int, ...]
    fingerprint: str
    flops: float
    samples: int = 0
    iters: int = 0
    wall_s: float = 0.0

    def write(self, folder: Path) -> None:
        """Write the folder's ``cost.json``, whole or not at all."""
        write_json(folder / COST_FILE, dict(asdict(self), members=list(self.members)))

    @classmethod
    def read(cls, folder: Path) -> "Cost | None":
        """Read the folder's ``cost.json``; ``None`` where there is none.

        Raises:
            AnalysisError: it is no such file, or a field is odd.
        """
        path = folder / COST_FILE
        if not path.is_file():
            return None
        record = read_record(path, WRITTEN_BY)
        if record.text("step") not in STEPS:
            raise record.error(f"'step' is {record.text('step')!r}, not one of {', '.join(STEPS)}")
        return cls(
            step=record.text("step"),
            stage=record.integer("stage"),
            members=record.integers("members"),
            fingerprint=record.text("fingerprint"),
            flops=record.number("flops"),
            samples=record.integer("samples"),
            iters=record.integer("iters"),
            wall_s=record.number("wall_s"),
        )


def costs_below(folder: Path, fingerprint: str) -> list[Cost]:
    """Read the costs of all finished steps of one stage.

    Args:
        folder: the stage's.
        fingerprint: of its configuration; what another left there does not count.
    """
    return [cost for cost in costs_in(folder) if cost.fingerprint == fingerprint]


def costs_in(folder: Path) -> list[Cost]:
    """Read the costs of all steps that left some in a folder or below it, of whatever run."""
    found = [Cost.read(path.parent) for path in sorted(folder.glob(f"**/{COST_FILE}"))]
    return [cost for cost in found if cost is not None]


def flops_of(costs: Iterable[Cost]) -> float:
    """Sum the FLOPs of steps."""
    return float(sum(cost.flops for cost in costs))
