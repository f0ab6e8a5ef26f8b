"""Files that are either whole or not there, whatever kills the process."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def atomic_write(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that ``path`` always names the complete old content or the complete new one.

    The bytes go to a hidden file beside ``path``, reach the disk (fsync) and are then renamed over
    ``path``; the folder is synced last, so that the rename survives a power cut too. Missing
    folders are made.

    Args:
        path: the file to write.
        write: called once with the open binary file. When it raises, ``path`` is as it was and
            the hidden file is gone.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(partial, "wb") as file:
            write(file)
        commit(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def commit(partial: str | Path, path: str | Path) -> None:
    """Give a complete file its name: sync it, rename it over ``path``, sync the folder."""
    path = Path(path)
    _sync(partial)
    os.replace(partial, path)
    _sync(path.parent)


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: str | Path, obj: Any) -> None:
    """Write ``obj`` as indented JSON, atomically (see :func:`atomic_write`)."""
    write_text(path, json.dumps(obj, indent=2) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically (see :func:`atomic_write`).

    Of a file's name that is no UTF-8, Python keeps the bytes as what no encoding has: written out.
    """
    atomic_write(path, lambda file: file.write(text.encode(errors="backslashreplace")))
