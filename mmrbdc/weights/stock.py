"""What a training checkpoint of stock MMEngine holds besides tensors, and nothing more.

MMEngine saves its message hub, whose log buffers are pickled objects with numpy arrays in them;
the buffers pickle references to their own methods as ``getattr(HistoryBuffer, 'min')``.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from mmrbdc.weights.errors import WeightsError

_METHODS = ("min", "max", "mean", "current")
_FORCE_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


class LogBuffer:
    """Stands in for MMEngine's ``HistoryBuffer`` where only weights are read.

    What the file says of the buffer becomes attributes of this object: no class of MMEngine is
    touched, and MMEngine need not be installed.
    """

    min = max = mean = current = None


def stock_mmengine_globals(
    log_buffer: type | None = None,
) -> list[Callable | tuple[Callable, str]]:
    """Return the allow-list for ``torch.serialization.safe_globals``.

    Python's ``getattr`` would open every door to a file, so a guarded stand-in takes its name: it
    knows four methods of the log buffer and refuses everything else with a WeightsError.

    Args:
        log_buffer: what the file's log buffers become: MMEngine's ``HistoryBuffer`` by default,
            which resuming a run needs, or :class:`LogBuffer`.
    """
    if log_buffer is None:
        from mmengine.logging.history_buffer import HistoryBuffer

        log_buffer = HistoryBuffer

    def guarded_getattr(owner: Any, name: str) -> Any:
        if owner is not log_buffer or name not in _METHODS:
            raise WeightsError(f"the attribute {name!r} of {owner!r}")
        return getattr(owner, name)

    reconstruct: Any = np.empty(0).__reduce__()[0]
    scalar: Any = np.float64(0).__reduce__()[0]
    return [
        (log_buffer, "mmengine.logging.history_buffer.HistoryBuffer"),
        (guarded_getattr, "builtins.getattr"),
        np.ndarray,
        np.dtype,
        *[type(np.dtype(code)) for code in ("f8", "f4", "i8", "i4", "b1")],
        *[(reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("_core", "core")],
        *[(scalar, f"numpy.{core}.multiarray.scalar") for core in ("_core", "core")],
    ]


@contextmanager
def stock_files_readable() -> Iterator[None]:
    """Within it MMEngine's own loading reads stock checkpoints and unpickles no code.

    MMEngine 0.10.7 gives up on them without an allow-list. The onedl fork brings a list, and
    unpickles whatever that refuses; torch's own switch overrules it.
    """
    before = os.environ.get(_FORCE_WEIGHTS_ONLY)
    os.environ[_FORCE_WEIGHTS_ONLY] = "1"
    try:
        with torch.serialization.safe_globals(stock_mmengine_globals()):
            yield
    finally:
        if before is None:
            del os.environ[_FORCE_WEIGHTS_ONLY]
        else:
            os.environ[_FORCE_WEIGHTS_ONLY] = before
