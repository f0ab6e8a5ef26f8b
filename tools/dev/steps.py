"""Numbered steps with expected and elapsed time, whose commands write into a log file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from troubles import explain

REPORT_EVERY_S = 30.0
TAIL_LINES = 25


class SetupError(Exception):
    """Something that stops the set-up; its message says what to do."""


def clock(seconds: float) -> str:
    """``93`` -> ``1:33 min``, ``12`` -> ``12 s``, ``4.21`` -> ``4.2 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def clean_environ(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for commands of the venv: without what would lead them out of it."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "PIP_USER")}
    env.update(PYTHONNOUSERSITE="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    env.update(extra or {})
    return env


class Steps:
    """Prints steps as they go and keeps the output of their commands in a log file.

    Args:
        total: number of steps.
        log: file that the commands' output is appended to.
    """

    def __init__(self, total: int, log: Path) -> None:
        self.total = total
        self.log = log
        self.done = 0

    @contextmanager
    def step(self, title: str, expected: str) -> Iterator[None]:
        """One step; ``expected`` is how long it takes, in words."""
        self.done += 1
        say(f"[{self.done}/{self.total}] {title} ({expected})")
        start = time.monotonic()
        yield
        say(f"      done in {clock(time.monotonic() - start)}")

    def run(
        self, command: Sequence[object], what: str, env: Mapping[str, str] | None = None
    ) -> None:
        """Run a command into the log, saying now and then that it still runs.

        Raises:
            SetupError: it failed; the message ends with the tail of its output.
        """
        words = [str(word) for word in command]
        start = spoken = time.monotonic()
        with open(self.log, "ab") as log:
            log.write(f"\n$ {' '.join(words)}\n".encode())
            log.flush()
            begin = log.tell()
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environ(env),
            )
            try:
                while process.poll() is None:
                    time.sleep(0.05 if time.monotonic() - start < 2 else 0.5)
                    if time.monotonic() - spoken > REPORT_EVERY_S:
                        spoken = time.monotonic()
                        say(f"      {what}: {clock(spoken - start)} so far")
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode:
            with open(self.log, "rb") as log:
                log.seek(begin)
                trouble = explain(log.read().decode(errors="replace"))
            raise SetupError(
                f"{what} failed{trouble and ': ' + trouble} (exit code {process.returncode}). "
                "The end of its output:\n"
                f"{tail(self.log, begin)}\nAll of it: {self.log}\n"
                "What is done so far is kept; when the cause is gone, run the same command again."
            )


def tail(log: Path, begin: int = 0, lines: int = TAIL_LINES) -> str:
    """The last lines of a log file from byte ``begin`` on, indented."""
    text = log.read_bytes()[begin:].decode(errors="replace")
    return "\n".join("    " + line for line in text.rstrip().splitlines()[-lines:])


def output_of(
    command: Sequence[object],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    must_succeed: bool = True,
) -> str | None:
    """Standard output of a short command, or ``None`` when it cannot start or (by choice) fails."""
    try:
        result = subprocess.run(
            [str(word) for word in command],
            env=clean_environ(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return None
    if must_succeed and result.returncode:
        return None
    return result.stdout.decode(errors="replace")


def fail(error: SetupError) -> None:
    """Print the error and exit with 1."""
    print(f"\nerror: {error}", file=sys.stderr, flush=True)
    sys.exit(1)
