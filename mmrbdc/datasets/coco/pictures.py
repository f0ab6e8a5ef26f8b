"""The image files of an annotation file: there, readable, and of the size that it states."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmrbdc.datasets.configs import quoted
from mmrbdc.datasets.pictures.check import Examination, check_pictures, picture_lines


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
    for row in images:
        path = folder / row["file_name"]
        if path.is_file():
            there[str(path)] = row
        else:
            wrong[f"missing from '{folder}'"].append(row["file_name"])
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
