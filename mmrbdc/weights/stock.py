"""What a training checkpoint of stock MMEngine holds besides tensors, and nothing more.

MMEngine saves its message hub, whose log buffers are pickled objects with numpy arrays in them;
the buffers pickle references to their own methods as ``getattr(HistoryBuffer, 'min')``. Reading
weights needs none of it, so harmless stand-ins take the place of both: no class of MMEngine is
touched by a file, and MMEngine need not be installed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import WeightsError

_METHODS = ("min", "max", "mean", "current")


class LogBuffer:
    """Stands in for MMEngine's ``HistoryBuffer``; what the file says of it becomes attributes."""


def guarded_getattr(owner: Any, name: str) -> str:
    """Stand in for ``builtins.getattr``, which would open every door to a file.

    It knows the four methods of the log buffer, returns their name, and refuses everything else.
    """
    if owner is LogBuffer and name in _METHODS:
        return name
    raise WeightsError(f"the attribute {name!r} of {owner!r}")


def stock_mmengine_globals() -> list[Callable | tuple[Callable, str]]:
    """Return the allow-list for ``torch.serialization.safe_globals``."""
    reconstruct: Any = np.empty(0).__reduce__()[0]
    scalar: Any = np.float64(0).__reduce__()[0]
    return [
        (LogBuffer, "mmengine.logging.history_buffer.HistoryBuffer"),
        (guarded_getattr, "builtins.getattr"),
        np.ndarray,
        np.dtype,
        *[type(np.dtype(code)) for code in ("f8", "f4", "i8", "i4", "b1")],
        *[(reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("_core", "core")],
        *[(scalar, f"numpy.{core}.multiarray.scalar") for core in ("_core", "core")],
    ]
