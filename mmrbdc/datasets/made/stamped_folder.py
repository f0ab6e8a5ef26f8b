"""Folders that the program makes for itself: complete with a stamp, or not there at all.

A folder is written beside its place and renamed when it is complete; ``stamp.json`` in it holds
what it was made from. So a folder with a stamp was complete once, and a call that finds the same
parameters and no file missing has nothing to do.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from mmrbdc.datasets.errors import DataError

STAMP = "stamp.json"


def make_folder(
    root: str | os.PathLike[str],
    parameters: Mapping[str, object],
    write: Callable[[Path], None],
    *,
    force: bool = False,
) -> bool:
    """Make ``root`` by ``write``, unless it is there and was made from the same parameters.

    A folder with our stamp and other parameters, or with files missing, is made again. A folder
    without our stamp is a user's: it is never deleted.

    Args:
        root: the folder to make.
        parameters: all that decides the content; plain JSON types.
        write: fills the empty folder that it is given.
        force: make the folder again even if it is current.

    Returns:
        Whether the folder was made by this call.

    Raises:
        DataError: ``root`` has content, but no stamp of ours.
    """
    root = Path(root)
    parameters = json.loads(json.dumps(parameters))
    stamp = _read_stamp(root)
    if stamp is None and root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(
            f"'{root}' exists and was not made by this program (it has no readable {STAMP}), so it "
            "is left alone; move it away, or name another folder (make_demo_data.py: --out)"
        )
    if stamp is not None and not force:
        same = stamp.get("parameters") == parameters
        if same and _count_files(root) >= stamp.get("files", 0):
            return False

    root.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(root)
    partial, old = (root.with_name(f".{root.name}.{kind}-{os.getpid()}") for kind in _KINDS)
    partial.mkdir()
    try:
        write(partial)
        content = {"parameters": parameters, "files": _count_files(partial) + 1}
        (partial / STAMP).write_text(json.dumps(content, indent=1) + "\n")
        if root.exists():
            root.rename(old)
        partial.rename(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return True


_KINDS = ("partial", "old")


def _read_stamp(root: Path) -> dict | None:
    try:
        stamp = json.loads((root / STAMP).read_text())
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and "parameters" in stamp else None


def _count_files(root: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(root))


def _remove_leftovers(root: Path) -> None:
    """Remove what killed processes left beside ``root``; a living one's folder is its own."""
    for kind in _KINDS:
        for leftover in root.parent.glob(f".{root.name}.{kind}-*"):
            pid = leftover.name.rpartition("-")[2]
            if pid.isdigit() and not _is_alive(int(pid)):
                shutil.rmtree(leftover, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
