"""Whether Slurm has a job."""

import shutil
import subprocess

_ENDING = "COMPLETING"


def in_queue(number: str | None) -> bool | None:
    """Whether a job waits or runs and nobody has ended it; None where there is no Slurm to ask.

    Args:
        number: of the job; None where none is known.

    Raises:
        ValueError: Slurm does not answer.
    """
    state = state_of(number)
    return None if state is None else state not in ("", _ENDING)


def state_of(number: str | None) -> str | None:
    """A job's state in Slurm's queue, empty where it is not there; None where there is no Slurm.

    Raises:
        ValueError: Slurm does not answer.
    """
    if number is None or shutil.which("squeue") is None:
        return None
    done = subprocess.run(
        ["squeue", "--noheader", "--jobs", number, "--format", "%T"],
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return done.stdout.strip()
    if "invalid job id" in done.stderr.lower():  # it ended long ago
        return ""
    raise ValueError(
        f"squeue does not say whether job {number} waits or runs: {done.stderr.strip()}; try "
        "again when Slurm answers"
    )
