"""A copy of a COCO file whose annotations are numbered from 1."""

import json
from pathlib import Path

from mmrbdc.datasets.coco.reading import COCO_CONTENT, read_json
from mmrbdc.datasets.errors import DataError
from mmrbdc.weights.atomic import write_text
from mmrbdc.wording import shown


def renumber(source: Path, target: Path) -> int:
    """Write a copy with new annotation ids, 1 to n in the order of the file; all else stays.

    Nothing in COCO's formats refers to an annotation by its id, predictions do not either.

    Returns:
        How many annotations there are.

    Raises:
        DataError: the source is not read, or has no list of annotations; the target is there.
    """
    if target.exists():
        raise DataError(f"{target} is there already; name a new file")
    content, _ = read_json(source, COCO_CONTENT)
    rows = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{source} has no list of annotations to number, got {shown(rows)}")
    for number, row in enumerate(rows, start=1):
        row["id"] = number
    try:
        write_text(target, json.dumps(content))
    except RecursionError:
        raise DataError(f"{source} is nested deeper than Python writes") from None
    return len(rows)
