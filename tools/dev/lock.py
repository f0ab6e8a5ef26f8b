"""One set-up at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steps import say


@contextmanager
def locked(path: Path, who: str) -> Iterator[None]:
    """Hold a lock on a file (made if missing) or folder; the system frees it when the process dies.

    Args:
        path: what to lock.
        who: who else may hold it, for the message while waiting.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"      waiting for {who} to finish")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
