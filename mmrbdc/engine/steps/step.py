"""What every kind of step can do."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic, TypeVar

from mmrbdc.engine.process.distributed import as_main_says
from mmrbdc.engine.stages.stage_setup import StageSetup
from mmrbdc.engine.steps.protocol_run import ProtocolRun
from mmrbdc.plan import Outcome, PlanError, Step

Kind = TypeVar("Kind", bound=Step)


class RunnableStep(ABC, Generic[Kind]):
    """One step of a protocol: it takes files, runs once, and leaves files.

    All processes of a run call all methods; what is written, the main process writes.

    Args:
        run: of the protocol.
        spec: what the method asked for.
    """

    def __init__(self, run: ProtocolRun, spec: Kind) -> None:
        self.protocol_run = run
        self.spec = spec
        self.setup: StageSetup = run.stages[spec.stage]

    @property
    def price(self) -> int:
        """Training FLOPs that it is planned to spend."""
        return self.protocol_run.plan.price_of(self.spec)

    @property
    @abstractmethod
    def inputs(self) -> list[Path]:
        """Files that must be there before it runs."""

    @property
    @abstractmethod
    def outputs(self) -> list[Path]:
        """Files that it leaves."""

    @property
    def fingerprint(self) -> str:
        """Of everything that decides its outputs."""
        return self.setup.hash

    @abstractmethod
    def done(self) -> bool:
        """Whether it ran to its end under this very configuration."""

    @abstractmethod
    def run(self) -> None:
        """Do it."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """What it tells its method, once it is done; read from its files."""

    def tell_done(self) -> None:
        """Say in the log that there is nothing left to do, where a reader expects it."""

    def check_inputs(self) -> None:
        """Refuse to run without a file that another step should have left.

        Raises:
            PlanError: which one, and how to make it.
        """
        paths = self.inputs
        missing = as_main_says(lambda: [path for path in paths if not path.is_file()])
        if missing:
            raise PlanError(
                f"{missing[0]} is not there, which {self.setup.row.name} begins with; it was "
                f"removed while this run went on: bring it back, or make it again with: "
                f"{self.protocol_run.train_command()}"
            )
