"""What readers of tables and charts are told of methods, by the names that files hold.

A file may name a method that is not registered here, such as one of somebody's own: it is called by
its name then and is like other methods.
"""

from collections.abc import Iterable

from mmrbdc.methods.method import Method
from mmrbdc.methods.registry import METHODS, find_method


def method_label(name: str) -> str:
    """Return the method's name as readers know it."""
    found = find_method(name)
    return name if found is None else found.title


def method_rank(name: str) -> int:
    """Return its place in tables, see :class:`mmrbdc.methods.Method`."""
    found = find_method(name)
    return Method.rank if found is None else found.rank


def method_colour(name: str) -> str | None:
    """Return its own colour in charts, if it has one."""
    found = find_method(name)
    return None if found is None else found.colour


def is_from_scratch(name: str) -> bool:
    """Return whether it is training from random weights."""
    found = find_method(name)
    return found is not None and found.from_scratch


def baselines() -> tuple[str, ...]:
    """Return the methods that every other one is compared with."""
    return tuple(name for name, method in METHODS.items() if method.baseline)


def describe_methods(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return (method, description), those of this package first, in its order."""
    wanted = list(names)
    ordered = [name for name in METHODS if name in wanted]
    ordered += [name for name in wanted if name not in METHODS]
    found = ((name, find_method(name)) for name in ordered)
    return [(name, "not described" if one is None else one.about) for name, one in found]
