"""How values stand in messages."""

import reprlib
from collections.abc import Callable, Iterable
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlist = 8
_SHORT.maxlevel = 3


def shown(value: Any) -> str:
    """Show a value, cut to a part of a line whatever it is."""
    text = _SHORT.repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


def quoted(values: Iterable[Any], most: int = 5, *, by: Callable[[Any], str] = repr) -> str:
    """Show the first few of some values, and how many there are where these are not all.

    Args:
        values: names, numbers, paths, ...
        most: of them that are shown.
        by: makes a value's text; what does not show in a name is escaped by ``repr``.
    """
    values = list(values)
    first = ", ".join(map(by, values[:most])) or "none"
    return f"{first}, ... {len(values):,} in all" if len(values) > most else first


def counted(number: int, what: str) -> str:
    """Count things: 1 image, 2,000 images."""
    if number == 1:
        return f"1 {what}"
    return f"{number:,} {what}{'es' if what.endswith(('x', 's')) else 's'}"
