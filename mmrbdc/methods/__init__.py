"""Training systems, one file a family of them: rules, words for people, growth operators.

A method (``protocol.method``) says which stages it takes, which members become which child, by
which growth operator, and which step comes next. Whoever needs to know asks the method; nothing
else knows one by its name. ``docs/add_a_method.md`` adds one.
"""

from mmrbdc.methods.method import Method
from mmrbdc.methods.parse import parse_protocol
from mmrbdc.methods.registry import METHODS, find_method, get_method, method_names, register_method
from mmrbdc.methods.settle import settled

__all__ = [
    "METHODS",
    "Method",
    "find_method",
    "get_method",
    "method_names",
    "parse_protocol",
    "register_method",
    "settled",
]
