"""SIGTERM as a request to save and stop, "start me again"."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import MMLogger

from mmrbdc.processes import EXIT_PREEMPTED

_received = False


class Preempted(SystemExit):
    """Ends the process with :data:`EXIT_PREEMPTED`."""

    def __init__(self) -> None:
        super().__init__(EXIT_PREEMPTED)


@contextmanager
def listening() -> Iterator[None]:
    """Take SIGTERM as a request to save and stop, as Slurm sends it before it takes a node away."""
    global _received
    previous = signal.signal(signal.SIGTERM, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
        _received = False


def in_main_thread() -> bool:
    """Whether signals can be listened for here."""
    return threading.current_thread() is threading.main_thread()


def _note(number: int, frame: Any) -> None:
    global _received
    _received = True


def requested() -> bool:
    """Whether any rank was asked to stop; every rank must ask at the same point."""
    if get_world_size() == 1:
        return _received
    flag = torch.tensor(int(_received), device=get_device())
    all_reduce(flag, op="max")
    return bool(flag)


def received() -> bool:
    """Whether this rank was asked to stop."""
    return _received


def stop_if_requested() -> None:
    """End the process where there is nothing to save.

    Raises:
        Preempted: SIGTERM came.
    """
    if requested():
        MMLogger.get_current_instance().warning(
            f"SIGTERM: stopping; --resume goes on (exit code {EXIT_PREEMPTED})"
        )
        raise Preempted
