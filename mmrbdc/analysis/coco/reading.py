"""The pieces that reading annotations and reading predictions share."""

import contextlib
import hashlib
import io
import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..errors import AnalysisError


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
        data = path.read_bytes()
    except FileNotFoundError:
        raise AnalysisError(f"{path} is missing; it should hold {content}") from None
    except OSError as error:
        raise AnalysisError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return json.loads(data), hashlib.sha256(data).hexdigest()
    except ValueError as error:
        raise AnalysisError(
            f"{path} is not JSON ({error}); it should hold {content}. A file that breaks off was "
            "copied or written in part: make it again"
        ) from None


def is_number(value: Any) -> bool:
    """Tell whether ``value`` is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_box(value: Any) -> bool:
    """Tell whether ``value`` is a box as COCO writes it: x, y, width and height."""
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(map(is_number, value))
        and min(value[2:]) >= 0
    )


def listed(ids: Collection[Any]) -> str:
    """Show the first few ids."""
    first = ", ".join(map(repr, sorted(ids)[:5]))
    return first if len(ids) <= 5 else f"{first}, ..."


def shown(value: Any) -> str:
    """Show a value in an error message, cut to a line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def quietly() -> contextlib.AbstractContextManager[object]:
    """Return a context in which nothing is printed; pycocotools tells each of its steps."""
    return contextlib.redirect_stdout(io.StringIO())
