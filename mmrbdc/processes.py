"""Python command lines in processes of their own that need not import the libraries anew.

Importing torch and the OpenMMLab packages takes ten seconds of CPU time, which is a large part of a
short run. Python's fork server imports them once, and every command line begins as a fork of it.
"""

import ctypes
import os
import runpy
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from multiprocessing import (
    connection,
    get_context,
    parent_process,
    resource_tracker,
    set_start_method,
)
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import cast

import torch

EXIT_PREEMPTED = 75
"""Exit code of a run that SIGTERM ended: what it did is saved, ``--resume`` goes on. The number is
``EX_TEMPFAIL`` of ``sysexits.h``."""

_LIBRARIES = ["mmrbdc.datasets", "mmrbdc.engine", "mmrbdc.models"]
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_running: set[BaseProcess] = set()
_lock = threading.Lock()  # starting a process collects those that have ended, another thread's too


def run_script(command: Sequence[str], log: Path, threads: int = 1) -> int:
    """Run ``python COMMAND...``, append its output to ``log`` line by line; return its exit code.

    May be called from several threads at once. Where there is a GPU nothing is imported beforehand,
    since a process that has looked at CUDA must not be forked.

    Args:
        command: path of a script, then its arguments.
        log: a file.
        threads: how many each of its processes computes on; the same in all calls.
    """
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    context = get_context("forkserver")
    process = context.Process(
        target=_as_main, args=(list(command), log.resolve(), {**os.environ, **limits})
    )
    with _lock:
        os.environ.update(limits)  # libraries read it when the server imports them
        context.set_forkserver_preload([] if torch.cuda.is_available() else _LIBRARIES)
        with _sigint_blocked():
            process.start()
        _running.add(process)
    connection.wait([process.sentinel])
    with _lock:
        process.join()
        _running.discard(process)
        code = process.exitcode
    assert code is not None
    return code


def interrupt_scripts() -> None:
    """Send SIGINT to all scripts that run; for who runs them from threads and is interrupted."""
    with _lock:
        for process in _running:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGINT)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Start the server deaf to Ctrl-C, which ends it with a traceback while it imports."""
    resource_tracker.ensure_running()  # the server needs it, and starting it unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def signal_when_parent_ends(number: int) -> None:
    """Let the kernel send this process a signal when its parent has ended, whatever ended it.

    Args:
        number: of the signal.
    """
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before it was watched
        os.kill(os.getpid(), number)


def _end_with_parent() -> None:
    """Stop as a scheduler would stop this script, once who started it is gone."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _as_main(command: list[str], log: Path, environ: Mapping[str, str]) -> None:
    os.environ.update(environ)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    set_start_method(None, force=True)  # the platform's, as in any script: for its data workers
    with log.open("a") as output:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(output.fileno(), stream.fileno())
            cast(TextIOWrapper, stream).reconfigure(line_buffering=True)
    # Shells start background jobs deaf to SIGINT, and with them the server and its forks.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    sys.argv = command
    sys.path.insert(0, str(Path(command[0]).resolve().parent))
    runpy.run_path(command[0], run_name="__main__")
