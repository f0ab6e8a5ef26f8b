"""What a run prints while it is set up, kept back until it is known that the run can begin."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from mmrbdc.cli import user_message

_LONGEST = 10.0
"""Seconds after which a user would rather see that something is done."""


class _Held:
    """A stream whose text is kept until it is let go; loggers may hold on to it afterwards."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._kept: list[str] | None = []
        self._until = time.monotonic() + _LONGEST

    def write(self, text: str) -> int:
        """Keep a text, or write it where nothing is kept any more."""
        if self._kept is None:
            return self._stream.write(text)
        self._kept.append(text)
        if time.monotonic() > self._until:
            self.release()
        return len(text)

    def flush(self) -> None:
        """Flush what was let go."""
        self._stream.flush()

    def release(self, *, shown: bool = True) -> None:
        """Write what was kept, or forget it, and keep nothing from now on."""
        kept, self._kept = self._kept or [], None
        if shown:
            self._stream.write("".join(kept))
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def held_output() -> Iterator[None]:
    """Keep back what is written to ``sys.stdout``: MMEngine's tables of environment, config and
    hooks, hundreds of lines.

    It is written at the end of the block, after ten seconds, or when the block fails. Only where it
    fails by a user's mistake, of which one line will tell, it is not: it stands in the log file.
    """
    before = sys.stdout
    held = _Held(before)
    sys.stdout = held  # all that a stream has, it has
    shown = True
    try:
        yield
    except Exception as error:
        shown = user_message(error) is None
        raise
    finally:
        sys.stdout = before
        held.release(shown=shown)
