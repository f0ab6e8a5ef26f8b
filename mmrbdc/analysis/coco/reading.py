"""The pieces that reading annotations and reading predictions share."""

import math
from pathlib import Path
from typing import Any

from mmrbdc.datasets.coco import read_json as read
from mmrbdc.datasets.coco.columns import number
from mmrbdc.datasets.errors import DataError
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.wording import shown

__all__ = ["is_box", "is_number", "read_json", "shown"]


def read_json(path: Path, content: str) -> tuple[Any, str]:
    """Read a JSON file.

    Args:
        path: of the file.
        content: what should be in it, for error messages.

    Returns:
        What the file holds and the SHA-256 of its bytes.

    Raises:
        AnalysisError: the file is missing, cannot be read or is not JSON.
    """
    try:
        return read(path, content)
    except DataError as error:
        raise AnalysisError(str(error)) from None


def is_number(value: Any) -> bool:
    """Tell whether ``value`` is a finite number."""
    return math.isfinite(number(value))


def is_box(value: Any) -> bool:
    """Tell whether ``value`` is a box as COCO writes it: x, y, width and height."""
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(map(is_number, value))
        and min(value[2:]) >= 0
    )
