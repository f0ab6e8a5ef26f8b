"""The values that protocols and stages are written in, each refused by its place if it is none.

Every function raises a PlanError that names the place, the value and what may stand there.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from mmrbdc import config_parts
from mmrbdc.plan.errors import PlanError

LARGEST_DENOMINATOR = 64
WIDTH_TOLERANCE = 1e-3


def fraction(value: Any, where: str) -> Fraction:
    """Return a share such as 1, 0.25, '1/4'; floats snap to the nearest simple fraction."""
    try:
        exact = Fraction(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        exact = None
    if exact is None or not 0 < exact <= 1:
        raise PlanError(
            f"{where} is {value!r}; it must be a fraction of the target's, above 0 and at most 1, "
            "such as 0.25 or '1/4'"
        )
    simple = exact.limit_denominator(LARGEST_DENOMINATOR)
    if abs(simple - exact) > WIDTH_TOLERANCE * exact:
        raise PlanError(
            f"{where} is {value!r}, which is not a simple fraction; write it as a string such as "
            "'1/3'"
        )
    return simple


def count(value: Any, where: str) -> int:
    """Return a whole number, at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise PlanError(f"{where} is {value!r}; it must be a whole number, at least 1")
    return value


def positive(value: Any, where: str) -> float:
    """Return a finite number above 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise PlanError(f"{where} is {value!r}; it must be a number above 0")
    return value


def not_negative(value: Any, where: str) -> float:
    """Return a finite number, at least 0."""
    return 0.0 if value == 0 and not isinstance(value, bool) else positive(value, where)


def one_of(value: Any, choices: Sequence[str], where: str) -> str:
    """Return one of several words."""
    if value not in choices:
        raise PlanError(f"{where} is {value!r}; it must be one of {listed(choices)}")
    return value


def check_keys(keys: Iterable[str], known: Sequence[str], where: str) -> None:
    """Refuse keys that there are not, with the closest that there is."""
    config_parts.check_keys(keys, known, where, PlanError)


def listed(words: Iterable[str]) -> str:
    """Show words in quotes, one after the other."""
    return ", ".join(repr(word) for word in words) or "nothing"


def plain(value: Any) -> Any:
    """Copy a config value into plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
