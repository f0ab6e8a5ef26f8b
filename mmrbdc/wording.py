"""How values stand in messages."""

import difflib
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


def closest(name: object, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Known names that are like one, the likest first.

    Args:
        name: that there is not.
        known: names that there are.
        most: how many.
        cutoff: how like they must be, 0 to 1.
    """
    return difflib.get_close_matches(str(name), list(known), n=most, cutoff=cutoff)


def did_you_mean(
    name: object,
    known: Iterable[str],
    otherwise: str,
    *,
    most: int = 1,
    by: Callable[[str], str] = repr,
) -> str:
    """``did you mean 'NAME'?``, where a known name is like it.

    Args:
        name: that there is not.
        known: names that there are.
        otherwise: said where none is like it.
        most: how many are named.
        by: makes a name's text.
    """
    close = closest(name, known, most)
    return f"did you mean {' or '.join(map(by, close))}?" if close else otherwise
