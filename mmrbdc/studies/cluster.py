"""Runs of a study as jobs of Slurm, sent by submitit and followed to their ends."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmrbdc.shipped import command
from mmrbdc.studies.jobs import Job, kept_json
from mmrbdc.studies.squeue import state_of
from mmrbdc.weights import write_json

if TYPE_CHECKING:
    from submitit.core.core import Executor

FOLDER = "slurm"
"""Of submitit's files, in a study's folder."""
_NUMBERS = "jobs.json"
_TOOLS = ("sbatch", "srun", "squeue", "scontrol")
_SECONDS_TO_SAVE = 120
_MOST_REQUEUES = 10_000
"""After which submitit lets a job be that ran out of its time."""
_POLL = 2.0
"""Seconds between two looks at a job's result."""
_ASK = 60.0
"""Seconds between two questions to Slurm whether a job is still there."""


def require_slurm() -> None:
    """Look for submitit and Slurm.

    Raises:
        ValueError: one of them is not there.
    """
    if find_spec("submitit") is None:
        raise ValueError(
            "--slurm sends its jobs by submitit, which is not installed: pip install submitit"
        )
    if missing := [name for name in _TOOLS if shutil.which(name) is None]:
        raise ValueError(
            f"--slurm: there is no {' and no '.join(missing)} on this machine; start the study on "
            "a login node of the cluster, or leave --slurm out to run it here (--jobs)"
        )


def slurm_executor(
    folder: Path,
    partition: str,
    *,
    gpus: int,
    cpus: int,
    hours: float,
) -> "Executor":
    """Make submitit's executor for Slurm.

    Args:
        folder: of the study.
        partition: of the cluster.
        gpus: a job's, on one node; 0 for none.
        cpus: a job's.
        hours: after which a job is stopped; it saves, and goes back into the queue.
    """
    import submitit

    executor = submitit.SlurmExecutor(folder / FOLDER, max_num_timeout=_MOST_REQUEUES)
    asked: dict[str, Any] = dict(gres=f"gpu:{gpus}") if gpus else {}
    executor.update_parameters(
        partition=partition,
        time=max(1, round(hours * 60)),
        nodes=1,
        ntasks_per_node=1,
        cpus_per_task=cpus,
        signal_delay_s=_SECONDS_TO_SAVE,
        stderr_to_stdout=True,
        additional_parameters={"requeue": True},
        **asked,
    )
    return executor


class Queue:
    """Sends runs to a scheduler, each once, and follows them.

    Numbers of jobs are kept in the study's folder, so that a study that is followed again finds
    those that wait or run.

    Args:
        executor: submitit's.
        study: name of the study, for the jobs' names.
        processes: of a run's training.
        is_there: whether a job of submitit's waits or runs.
    """

    def __init__(
        self,
        executor: "Executor",
        study: str,
        processes: int = 1,
        is_there: Callable[[Any], bool] = lambda job: bool(state_of(job.job_id)),
    ) -> None:
        self.executor = executor
        self.study = study
        self.processes = processes
        self.is_there = is_there
        self.left = threading.Event()
        self.path = Path(executor.folder) / _NUMBERS
        self.numbers: dict[str, str] = kept_json(self.path) or {}

    def send(self, job: Job, behind: Job | None = None) -> Job:
        """Send a run, unless it is finished or in the queue.

        Args:
            job: the run.
            behind: a run after whose end it is to begin, whatever that end is.

        Returns:
            What follows the run to its end.

        Raises:
            ValueError: the scheduler refuses it.
        """
        from mmrbdc.studies.scheduled import ScheduledRun

        if job.done:
            return job
        name = job.folder.name
        sent = self._waiting(name)
        if sent is None:
            before = behind.sent.job_id if isinstance(behind, QueuedJob) else None
            self.executor.update_parameters(
                job_name=f"{self.study}-{name}",
                dependency=f"afterany:{before}" if before else None,
            )
            try:
                sent = self.executor.submit(ScheduledRun(job, self.processes))
            except RuntimeError as error:
                raise ValueError(
                    f"Slurm does not take {name}: {' '.join(str(error).split())}; correct --slurm, "
                    "--gpus-per-run or --hours (an account or a QoS is given by SBATCH_ACCOUNT, "
                    "SBATCH_QOS), then give the command again with --resume"
                ) from error
            self.numbers[name] = sent.job_id
            write_json(self.path, self.numbers)
            print(f"{name}: job {sent.job_id}", flush=True)
        else:
            print(f"{name}: in the queue already, job {sent.job_id}", flush=True)
        return QueuedJob(**vars(job), sent=sent, left=self.left, is_there=self.is_there)

    def leave(self) -> None:
        """Follow no longer; the runs go on."""
        self.left.set()
        print(
            "\nThe jobs stay in the queue (squeue; scancel ends them). To follow them again: "
            + command("study", "CONFIG", "--slurm", "...", "--resume"),
            flush=True,
        )

    def _waiting(self, name: str) -> Any:
        """The job of a run that waits or runs; None where there is none."""
        if name not in self.numbers:
            return None
        job = self.executor.job_class(self.executor.folder, self.numbers[name])
        return job if self.is_there(job) else None


@dataclass(frozen=True)
class QueuedJob(Job):
    """A run that a scheduler has: running it is to wait for its end.

    Attributes:
        sent: submitit's job.
        left: set where the run is followed no longer.
        is_there: whether a job waits or runs.
    """

    sent: Any = None
    left: threading.Event = field(default_factory=threading.Event)
    is_there: Callable[[Any], bool] = bool

    def _still_there(self) -> bool:
        try:
            return self.is_there(self.sent)
        except ValueError as error:  # of a scheduler that will answer again
            print(f"{self.folder.name}: {error}", flush=True)
            return True

    def run(self, run_command: Any = None) -> bool:
        """Wait for the end of the scheduler's job; whether the run is finished."""
        asked = time.monotonic()
        while not self.sent.paths.result_pickle.exists() and not self.left.wait(_POLL):
            if time.monotonic() - asked > _ASK:
                if not self._still_there():
                    break
                asked = time.monotonic()
        if not self.done and not self.left.is_set():
            print(f"{self.folder.name}: see {self.log} and {self.sent.paths.stdout}", flush=True)
        return self.done
