"""A function in a process of its own, and how it ended: a hang in C ignores every signal but one.

The child is a fork, so that it has the libraries which its parent imported. It may take so much
time and memory; what it started is ended with it.
"""

import contextlib
import faulthandler
import os
import pickle
import resource
import select
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["returned", "refused", "traceback", "signal", "hang"]
PATIENCE = 10
"""How many times its seconds a child may take on the clock: others want the processor too."""
_LOOK_EVERY = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Attributes:
        kind: it returned a value; raised what a user is told in one line (``refused``); raised
            anything else; died by a signal or without a word; was ended after its time.
        value: that it returned.
        text: the line, the traceback, or the signal's name.
        output: what it wrote.
        seconds: that it took.
    """

    kind: Kind
    value: Any = None
    text: str = ""
    output: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind} after {self.seconds:.1f} s: {self.text}\n{self.output[-2000:]}".strip()


def in_child(
    function: Callable[..., Any],
    *arguments: Any,
    refusals: type[Exception] | tuple[type[Exception], ...] = (),
    seconds: float = 10.0,
    memory: int = 4 << 30,
) -> Outcome:
    """Call a function in a fork of this process.

    Args:
        function: returns what can be pickled.
        arguments: its own.
        refusals: exceptions whose text is for a user.
        seconds: of processor time after which it is killed, or ``PATIENCE`` times as many on the
            clock.
        memory: bytes that it may ask for beyond what this process has.
    """
    reader, writer = os.pipe()
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            os.close(reader)
            _be_the_child(function, arguments, refusals, memory, writer, output.fileno())
        os.close(writer)
        late = _Deadline(child, seconds)
        message = _read_all(reader, late)
        os.close(reader)
        over = message is None
        status = _reap(child, late)
        output.seek(0)
        text = output.read().decode(errors="replace")
    took = time.monotonic() - start
    if over or status is None:
        return Outcome("hang", None, f"still running after {seconds:g} s of work", text, took)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return Outcome("signal", None, name, text, took)
    if not message:
        return Outcome("signal", None, f"exit code {os.WEXITSTATUS(status)}", text, took)
    kind, value, words = pickle.loads(message)
    return Outcome(kind, value, words, text, took)


def _be_the_child(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    refusals: Any,
    memory: int,
    writer: int,
    output: int,
) -> None:
    """Never returns: what the parent would do at its exit is the parent's."""
    code = 1
    try:
        os.setsid()
        faulthandler.disable()  # pytest's, which would write into the parent's log
        for stream in (1, 2):
            os.dup2(output, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/statm") as statm:
            held = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + memory, held + memory))
        try:
            message = ("returned", function(*arguments), "")
        except refusals as error:
            message = ("refused", type(error).__name__, str(error))
        except BaseException:
            message = ("traceback", None, traceback.format_exc())
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(message, pipe)
        code = 0
    finally:
        os._exit(code)


class _Deadline:
    """Whether a child has had its time."""

    def __init__(self, child: int, seconds: float) -> None:
        self.child = child
        self.seconds = seconds
        self.until = time.monotonic() + PATIENCE * seconds

    def __call__(self) -> bool:
        return time.monotonic() >= self.until or self._worked() >= self.seconds

    def _worked(self) -> float:
        """Its processor time, also after its end; 0 where it is gone."""
        try:
            with open(f"/proc/{self.child}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _TICKS


def _read_all(reader: int, late: _Deadline) -> bytes | None:
    """All that the child sends; None where it does not finish in time."""
    parts = []
    while True:
        ready, _, _ = select.select([reader], [], [], _LOOK_EVERY)
        if not ready:
            if late():
                return None
            continue
        part = os.read(reader, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _reap(child: int, late: _Deadline) -> int | None:
    """The child's status; None where it had to be killed. Its own children go with it."""
    status = None
    while status is None:
        done, found = os.waitpid(child, os.WNOHANG)
        if done:
            status = found
        elif late():
            break
        else:
            time.sleep(0.002)
    if status is None:
        os.kill(child, signal.SIGKILL)  # it may not lead a group yet
    with contextlib.suppress(ProcessLookupError):  # nothing of it is left
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
    return status
