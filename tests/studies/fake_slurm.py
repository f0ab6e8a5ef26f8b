"""Stand-ins for Slurm's commands: a queue of one machine, whose jobs are processes.

``sbatch`` starts a job when those that it depends on have ended, ``scontrol requeue`` ends it and
starts it anew, ``scancel --signal`` signals all of its processes, as a cluster does.
"""

import os
import stat
import subprocess
import sys
from pathlib import Path

SCRIPT = r'''#!{python}
import os, re, signal, subprocess, sys, time
from pathlib import Path

place = Path({place!r})
tool, words = Path(sys.argv[0]).name, sys.argv[1:]


def state(number, to=None):
    path = place / f"{{number}}.state"
    if to is not None:
        path.write_text(to)
    return path.read_text() if path.exists() else "UNKNOWN"


def session(number):
    """The processes of a job, but for its script: steps are signalled, not the script."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            script = (path.parent / "cmdline").read_bytes().startswith(b"bash\0")
            if f"SLURM_JOB_ID={{number}}\0".encode() in path.read_bytes() and not script:
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


if tool == "sbatch":
    if (place / "refuses").exists():
        sys.exit("sbatch: error: invalid partition specified: gpu")
    number = str(len(list(place.glob("*.sh"))) + 1)
    script = place / f"{{number}}.sh"
    script.write_text(Path(words[-1]).read_text())
    state(number, "PENDING")
    with open(place / f"{{number}}.out", "a") as out:
        subprocess.Popen([sys.executable, sys.argv[0].replace("sbatch", "run_job"), number],
                         stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    print("Submitted batch job", number)
elif tool == "run_job":
    number = words[0]
    text = (place / f"{{number}}.sh").read_text()
    for before in re.findall(r"--dependency=afterany:(\d+)", text):
        while state(before) in ("PENDING", "RUNNING"):
            time.sleep(0.05)
    again = place / f"{{number}}.again"
    while True:
        state(number, "RUNNING")
        code = subprocess.call(["bash", str(place / f"{{number}}.sh")],
                               env={{**os.environ, "SLURM_JOB_ID": number}})
        if not again.exists():
            break
        again.unlink()
        with open(place / "requeued", "a") as log:
            log.write(number + "\n")
    was = state(number)
    state(number, "CANCELLED" if was == "COMPLETING" else "FAILED" if code else "COMPLETED")
elif tool == "srun":
    words = sys.argv[1:]
    while words[0].startswith("--"):
        words = words[2:] if words[0] in ("--output", "--error") else words[1:]
    os.execvp(words[0], words)
elif tool == "scontrol":
    (place / f"{{words[1]}}.again").touch()
elif tool == "scancel":
    cancelled = len(words) == 1
    if cancelled:
        state(words[0], "COMPLETING")
    for pid in session(words[0]):
        os.kill(pid, signal.SIGTERM if cancelled else getattr(signal, words[2]))
elif tool == "squeue":
    if (place / "down").exists():
        sys.exit("slurm_load_jobs error: Unable to contact slurm controller")
    found = state(words[words.index("--jobs") + 1])
    if found == "UNKNOWN":
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    if found in ("PENDING", "RUNNING", "COMPLETING"):
        print(found)
'''


class FakeSlurm:
    """A cluster in a folder.

    Args:
        folder: made; ``bin`` in it goes into PATH.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        text = SCRIPT.format(python=sys.executable, place=str(folder))
        for name in ("sbatch", "run_job", "srun", "scontrol", "scancel", "squeue"):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(stat.S_IRWXU)

    @property
    def path(self) -> str:
        """PATH with the commands in front."""
        return f"{self.bin}{os.pathsep}{os.environ['PATH']}"

    @property
    def scripts(self) -> list[str]:
        """What was submitted, in order."""
        found = sorted(self.folder.glob("*.sh"), key=lambda path: int(path.stem))
        return [path.read_text() for path in found]

    @property
    def requeued(self) -> list[str]:
        """Numbers of the jobs that were put back, in order."""
        path = self.folder / "requeued"
        return path.read_text().split() if path.exists() else []

    def cancel(self, number: str) -> None:
        """End a job as a person does."""
        subprocess.run([self.bin / "scancel", number], check=True)

    def signal(self, number: str, name: str) -> None:
        """Send a signal to all processes of a job, as Slurm does."""
        subprocess.run([self.bin / "scancel", number, "--signal", name], check=True)
