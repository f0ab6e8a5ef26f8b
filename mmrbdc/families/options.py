"""Reading the config of a classifier: what its options say, and which are refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmrbdc.config_parts import class_name
from mmrbdc.families.errors import FamilyError


def type_name(cfg: Mapping[str, Any] | None, what: str) -> str:
    """The class name in a config's ``type``, without scope.

    Args:
        cfg: a config dict; its type may be a name, a name with scope, or a class.
        what: what messages call the config.

    Raises:
        FamilyError: there is no type.
    """
    if not isinstance(cfg, Mapping) or "type" not in cfg:
        raise FamilyError(f"{what} is {cfg!r}: expected a config dict with a 'type'")
    return class_name(cfg["type"])


def refuse_options(cfg: Mapping[str, Any], allowed: Mapping[str, Sequence[Any]], what: str) -> None:
    """Refuse options that change tensors in a way the family does not know.

    Args:
        cfg: a config dict.
        allowed: option names and the values that are known; absent options are fine.
        what: what messages call the config.

    Raises:
        FamilyError: an option has another value.
    """
    for option, values in allowed.items():
        if option in cfg and cfg[option] not in values:
            raise FamilyError(
                f"{what}: the option {option}={cfg[option]!r} is not supported; leave it at "
                f"{', '.join(map(repr, values))}"
            )


def check_head(head: Mapping[str, Any], channels: int) -> None:
    """Refuse a head that reads another number of channels than the backbone puts out.

    Raises:
        FamilyError: both numbers and how to set the head's.
    """
    given = head.get("in_channels", channels)
    if given != channels:
        raise FamilyError(
            f"the head reads {given} channels and the backbone puts out {channels}; "
            f"set model.head.in_channels={channels}"
        )


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """A size as (height, width)."""
    if isinstance(value, int):
        return value, value
    height, width = value
    return int(height), int(width)
