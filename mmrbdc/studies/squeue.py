"""What Slurm's queue says of a job."""

import shutil
import subprocess

ENDING = "COMPLETING"
"""State of a job that somebody or something has ended already."""


def state_of(number: str | None) -> str | None:
    """A job's state in Slurm's queue, empty where it is not there; None where there is no Slurm.

    Args:
        number: of the job; None where none is known.

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
