"""One process at a time in a folder."""

import errno
import fcntl
import os
import socket
import warnings
from pathlib import Path
from typing import IO

from mmengine.dist import is_main_process

_held: dict[Path, IO[str]] = {}


class Locked(OSError):
    """Another process works in the folder."""


def lock_folder(folder: str | Path, *, shared: bool = False) -> None:
    """Keep other processes out of a folder until this one ends, however it ends.

    The main process takes a lock of the operating system on ``<folder>/.lock``; a killed process
    leaves none behind. On a file system that has no locks a warning is all that is given.

    Args:
        folder: made if missing.
        shared: let in others that ask for a shared lock too, but none that asks for the folder
            alone.

    Raises:
        Locked: another process holds it; the message says which.
        NotADirectoryError, PermissionError, OSError: it cannot be made or written in.
    """
    path = Path(folder).resolve() / ".lock"
    if not is_main_process() or path in _held:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+")  # noqa: SIM115, held until the process ends
    except OSError as error:
        raise type(error)(
            f"the folder {folder} cannot be made or written in "
            f"({error.strerror}: {error.filename}); name another one with --work-dir"
        ) from error
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "another process"
        file.close()
        raise Locked(
            f"{folder} is in use by {owner}: wait for it to end, stop it, or choose another "
            "--work-dir"
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        warnings.warn(f"{folder}: this file system has no locks ({error})", stacklevel=2)
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()
    _held[path] = file


def _leave_to_parent() -> None:
    """Keep a data worker, which outlives a killed run by seconds, from holding its folder."""
    for file in _held.values():
        file.close()
    _held.clear()


os.register_at_fork(after_in_child=_leave_to_parent)
