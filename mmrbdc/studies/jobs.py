"""Command lines that run side by side, one thread each; what failed is named and stops no other."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmrbdc.processes import interrupt_scripts, run_script
from mmrbdc.weights import write_json

RunCommand = Callable[[Sequence[str], Path], int]
"""Runs a command of Python, appends its output to a file, and returns its exit code."""
_MARK = "command.json"


@dataclass(frozen=True)
class Job:
    """One run: Python command lines that leave a folder.

    Attributes:
        folder: of the run; its name is the job's, its log lies beside it.
        commands: arguments of Python, one list a command.
        cost: in any unit, for the time left.
        prepare: called before the first command.
        made_by: in JSON types, what the folder is made by; where it has changed, the job is to be
            run again. By default the commands.
        result: name of a JSON file that the commands leave in the folder; where it cannot be read,
            the job is to be run again.
    """

    folder: Path
    commands: list[list[str]]
    cost: float
    prepare: Callable[[], None] | None = None
    made_by: Any = None
    result: str | None = None

    @property
    def done(self) -> bool:
        """Whether this very job has been run to its end."""
        if kept_json(self.folder / _MARK) != self._mark:
            return False
        return self.result is None or kept_json(self.folder / self.result) is not None

    @property
    def _mark(self) -> Any:
        return self.commands if self.made_by is None else self.made_by

    @property
    def log(self) -> Path:
        """Where the commands' output goes."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def run(self, run_command: RunCommand = run_script) -> bool:
        """Run what there is to run and return whether it succeeded.

        Args:
            run_command: runs one and returns its exit code.
        """
        try:
            if self.prepare:
                self.prepare()
            ok = run_commands(self.commands, self.log, run_command)
            if ok:
                write_json(self.folder / _MARK, self._mark)
        except OSError as error:  # a full disk, say: the other runs may still succeed
            print(f"{self.folder.name}: {error}", flush=True)
            return False
        return ok


def run_jobs(
    *groups: Sequence[Job], at_a_time: int, interrupt: Callable[[], None] = interrupt_scripts
) -> list[Job]:
    """Run all jobs, print how each ends and how long the rest will take; return those that failed.

    Args:
        groups: a group begins when the one before has ended.
        at_a_time: jobs that run side by side.
        interrupt: what ends those that run, where this is interrupted.
    """
    progress = _Progress([job for group in groups for job in group])
    failed = []
    pool = ThreadPoolExecutor(at_a_time)
    try:
        for group in groups:
            ended = pool.map(progress.follow, group)
            failed += [job for job, ok in zip(group, ended, strict=True) if not ok]
    except KeyboardInterrupt:
        progress.interrupted = True
        pool.shutdown(wait=False, cancel_futures=True)
        interrupt()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return failed


def run_commands(
    commands: Sequence[Sequence[str]], log: Path, run_command: RunCommand = run_script
) -> bool:
    """Run Python command lines one after another, output to ``log``; stop at the first failure."""
    log.parent.mkdir(parents=True, exist_ok=True)
    return all(run_command(command, log) == 0 for command in commands)


def kept_json(path: Path) -> Any:
    """What a file holds; None where it is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _last_error(log: Path) -> str:
    """The last line of a log that is an error's, to print behind a colon; else nothing."""
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    found = [line for line in lines if line.startswith("error: ")]
    return f": {found[-1].removeprefix('error: ')}" if found else ""


class _Progress:
    def __init__(self, jobs: Sequence[Job]) -> None:
        self.lock = threading.Lock()
        self.started = time.monotonic()
        self.count, self.total = 0, len(jobs)
        self.left = sum(job.cost for job in jobs if not job.done)
        self.spent = 0.0
        self.interrupted = False

    def follow(self, job: Job) -> bool:
        """Do one job and print how it ended."""
        started = time.monotonic()
        known = job.done
        ok = known or job.run()
        with self.lock:
            if self.interrupted:
                return ok
            self.count += 1
            if not known:
                self.left -= job.cost
                self.spent += job.cost
            minutes = (time.monotonic() - started) / 60
            how = "kept" if known else f"{'finished' if ok else 'FAILED'} in {minutes:.1f} min"
            if not ok:
                how += _last_error(job.log)
            eta = ""
            if self.spent and self.left > 1e-9:
                elapsed = (time.monotonic() - self.started) / 60
                eta = f"; about {elapsed / self.spent * self.left:.0f} min left"
            print(f"[{self.count}/{self.total}] {job.folder.name}: {how}{eta}", flush=True)
        return ok
