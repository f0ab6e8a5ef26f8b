"""All methods by name: those of this package, those that users add, and operators without one."""

import sys

from mmrbdc.growth.run import OPERATORS, get_operator
from mmrbdc.methods import autoprog, coupling, incubation, mixture, progressive, scratch, widening
from mmrbdc.methods.coupling import Coupling
from mmrbdc.methods.method import Method
from mmrbdc.methods.widening import Widening
from mmrbdc.plan import PlanError

METHODS: dict[str, Method] = {
    method.name: method
    for module in (coupling, scratch, widening, mixture, progressive, incubation, autoprog)
    for method in module.METHODS
}
"""Name -> method."""

_WITHOUT_A_METHOD = frozenset(OPERATORS) - METHODS.keys()
"""Operators of this package that serve a method of another name."""


def register_method(method: Method) -> None:
    """Add a method from outside of this package; configs name its module in ``custom_imports``.

    Raises:
        PlanError: there is one of that name.
    """
    if find_method(method.name) is not None:
        raise PlanError(f"there is a method {method.name!r} already; give yours another name")
    METHODS[method.name] = method


def find_method(name: str) -> Method | None:
    """Look a method up; an operator from outside is the method of its own name.

    Such a method is described by the first line of the docstring of the operator's module.
    """
    if not isinstance(name, str):
        return None
    if name in METHODS:
        return METHODS[name]
    if name not in OPERATORS or name in _WITHOUT_A_METHOD:
        return None
    operator = get_operator(name)
    if operator.parents in ("behind", "deeper"):
        return None
    text = sys.modules[operator.grow.__module__].__doc__ or "not described"
    about = text.strip().splitlines()[0].rstrip(".")
    if operator.parents == "sum":
        return Coupling(name, about)
    return Widening(name, about, inner=operator.inner)


def method_names() -> list[str]:
    """All names that ``protocol.method`` may be."""
    own = [name for name in OPERATORS if name not in METHODS and find_method(name) is not None]
    return [*METHODS, *own]


def get_method(name: str) -> Method:
    """Look a method up.

    Raises:
        PlanError: there is none of that name.
    """
    method = find_method(name)
    if isinstance(name, str) and method is None and name in OPERATORS.keys() - _WITHOUT_A_METHOD:
        raise PlanError(
            f"protocol.method is {name!r}, an operator that lays parents behind each other in "
            "depth; which members they are, a method of your own must say (docs/add_a_method.md)"
        )
    if method is None:
        raise PlanError(
            f"protocol.method is {name!r}; it must be one of "
            f"{', '.join(map(repr, method_names()))}; an operator or a method of your own is "
            "registered by a module in custom_imports.imports"
        )
    return method
