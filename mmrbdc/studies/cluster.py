"""Runs of a study as jobs of Slurm, sent by submitit and followed to their ends."""

import shutil
import threading
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmrbdc.shipped import command
from mmrbdc.studies.jobs import Job, kept_json
from mmrbdc.weights import write_json

if TYPE_CHECKING:
    from submitit.core.core import Executor

FOLDER = "slurm"
"""Of submitit's files, in a study's folder."""
_NUMBERS = "jobs.json"
_TOOLS = ("sbatch", "srun", "sacct", "scontrol")
_SECONDS_TO_SAVE = 120
_MOST_REQUEUES = 10_000
"""After which submitit lets a job be that ran out of its time."""
_POLL = 2.0
"""Seconds between two looks at a job's result; Slurm is asked less often, as submitit does."""
_GONE = ("UNKNOWN", "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY",
         "BOOT_FAIL", "DEADLINE", "REVOKED")  # fmt: skip


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
    """

    def __init__(self, executor: "Executor", study: str, processes: int = 1) -> None:
        self.executor = executor
        self.study = study
        self.processes = processes
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
            sent = self.executor.submit(ScheduledRun(job, self.processes))
            self.numbers[name] = sent.job_id
            write_json(self.path, self.numbers)
            print(f"{name}: job {sent.job_id}", flush=True)
        else:
            print(f"{name}: in the queue already, job {sent.job_id}", flush=True)
        fields = {key: getattr(job, key) for key in job.__dataclass_fields__}
        return QueuedJob(**fields, sent=sent, left=self.left)

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
        state = job.watcher.get_state(job.job_id, mode="force").split(" ")[0].rstrip("+")
        return None if state.upper() in _GONE else job


@dataclass(frozen=True)
class QueuedJob(Job):
    """A run that a scheduler has: running it is to wait for its end.

    Attributes:
        sent: submitit's job.
        left: set where the run is followed no longer.
    """

    sent: Any = None
    left: threading.Event = field(default_factory=threading.Event)

    def run(self, run_command: Any = None) -> bool:
        """Wait for the end of the scheduler's job; whether the run is finished."""
        while not self.sent.done() and not self.left.wait(_POLL):
            pass
        return self.done
