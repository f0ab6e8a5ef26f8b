"""A run of a study inside of a scheduler's job: stopped and requeued as such a job is."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from submitit import JobEnvironment
from submitit.helpers import Checkpointable

from mmrbdc.processes import EXIT_PREEMPTED, signal_when_parent_ends
from mmrbdc.studies.jobs import Job
from mmrbdc.studies.squeue import ENDING, state_of

_SEVERAL = ["-m", "torch.distributed.run", "--standalone"]


class ScheduledRun(Checkpointable):
    """What a scheduler's job calls: the commands of a run, as children of submitit's process.

    submitit answers SIGTERM and the signal before a job's time is up (``SUBMITIT_PREEMPT_SIGNAL``,
    SIGUSR2) by itself. Here both are told to the command that runs as SIGTERM; it saves and ends
    with code 75, and the job is put back into the queue, to go on there. A job that is completing
    already was cancelled, or Slurm puts it back itself: then nothing is asked for.

    Args:
        job: the run; its commands are resumed as they are.
        processes: of a training, by ``torchrun`` where it is more than one.
    """

    def __init__(self, job: Job, processes: int = 1) -> None:
        self.job = job
        self.processes = processes

    def __call__(self) -> bool:
        """Run what there is to run; whether it succeeded."""
        return self.job.done or self.job.run(_Commands(self.processes))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # Checkpointable is made without the arguments that pickle would give.
        return ScheduledRun, (self.job, self.processes)


class _Commands:
    """Runs commands as children, and stops with them.

    Args:
        processes: of a training.
    """

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self.child: subprocess.Popen | None = None
        self.asked = False
        self.own = getattr(signal, f"SIG{JobEnvironment.USR_SIG}")
        self.requeue = signal.getsignal(self.own)
        for number in {self.own, signal.SIGTERM}:
            signal.signal(number, self._stop)

    def __call__(self, command: Sequence[str], log: Path) -> int:
        """Run a command and return its exit code; the job ends here where it was stopped."""
        if not self.asked:
            code = self._run(command, log)
            if code == 0 or not (self.asked or code == EXIT_PREEMPTED):
                return code
        if not _is_ended():
            assert callable(self.requeue)
            self.requeue(self.own, None)
        raise SystemExit(EXIT_PREEMPTED)

    def _run(self, command: Sequence[str], log: Path) -> int:
        several = self.processes > 1 and Path(command[0]).name == "train.py"
        with log.open("a") as output:
            self.child = subprocess.Popen(
                [
                    sys.executable,
                    *([*_SEVERAL, f"--nproc_per_node={self.processes}"] if several else []),
                    *command,
                    *(["--launcher", "pytorch"] if several else []),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
                preexec_fn=partial(_begin, {self.own} - {signal.SIGTERM}),
            )
            if self.asked:  # while it was started
                self.child.terminate()
            return self.child.wait()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()


def _is_ended() -> bool:
    """Whether Slurm has ended this job already; not where it does not say."""
    try:
        return state_of(os.environ.get("SLURM_JOB_ID")) in ("", ENDING)
    except ValueError:
        return False


def _begin(ignored: set[int]) -> None:
    """Of a child: a scheduler signals all processes of a job, and SIGUSR2 would end this one."""
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal_when_parent_ends(signal.SIGTERM)
