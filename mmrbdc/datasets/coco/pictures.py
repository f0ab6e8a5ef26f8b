"""The image files of an annotation file: there, readable, and of the size that it states."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmrbdc.datasets.pictures.check import Examination, check_pictures, picture_lines
from mmrbdc.wording import counted, quoted


def missing_files(folder: str | Path, names: Iterable[str]) -> list[str]:
    """Return the images that are no files, in their order.

    Every folder is listed once, which takes a tenth of a second where 100,000 lookups over a
    network take minutes; only what is not listed is looked up.

    Args:
        folder: of the images.
        names: of the images, which may begin with folders of their own.
    """
    listed: dict[str, set[str]] = {}
    gone = []
    for name in names:
        path = os.path.join(folder, name)
        parent, base = os.path.split(path)
        if parent not in listed:
            listed[parent] = _files_in(parent)
        # A file system may take another spelling of a name for the same.
        if base not in listed[parent] and not os.path.isfile(path):
            gone.append(name)
    return gone


def shared_remark(one: str, other: str, names: Sequence[str]) -> str:
    """Say that a split that trains and one that is scored have images in common."""
    return (
        f"{one} and {other} share {counted(len(names), 'image')}: {quoted(names)}; scores on "
        "images that were trained on say nothing of others"
    )


def _files_in(folder: str) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()


def check_files(
    folder: Path, images: Sequence[Mapping[str, Any]], examination: Examination
) -> tuple[dict[Path, int], list[str], list[str]]:
    """Look at every image of an annotation file.

    Args:
        folder: of the images.
        images: rows of the file, with ``file_name``, ``width`` and ``height``.
        examination: how files are looked at.

    Returns:
        Bytes of the files that are there; errors; remarks.
    """
    wrong: dict[str, list[str]] = defaultdict(list)
    there = {}
    gone = set(missing_files(folder, [row["file_name"] for row in images]))
    for row in images:
        if row["file_name"] in gone:
            wrong[f"missing from '{folder}'"].append(row["file_name"])
        else:
            there[str(folder / row["file_name"])] = row
    sizes = {Path(path): Path(path).stat().st_size for path in there}
    pictures = check_pictures(list(there), examination)
    for picture in pictures:
        row = there[picture.path]
        if picture.size is not None and picture.size != (row["width"], row["height"]):
            wrong["whose size is not the width and height in the file"].append(row["file_name"])
    errors = [
        f"{len(names):,} image{'s' * (len(names) > 1)} {what}: {quoted(names)}"
        for what, names in wrong.items()
    ]
    unreadable, remarks = picture_lines(pictures)
    return sizes, errors + unreadable, remarks
