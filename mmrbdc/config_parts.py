"""A part of a config: which class it names, alone or in a list, and which keys it may have."""

from collections.abc import Iterable, Mapping
from typing import Any

from mmrbdc.wording import did_you_mean


def class_name(kind: Any) -> str:
    """The name of a class, of text or the class itself, without scope; empty for ``None``."""
    if kind is None:
        return ""
    return str(getattr(kind, "__name__", kind)).rpartition(".")[2]


def type_name(part: Mapping[str, Any]) -> str:
    """The class name in a config's ``type``, without scope; empty where it has none."""
    return class_name(part.get("type"))


def as_list(part: Any) -> list[Any]:
    """A part of a config as a list: one dict, several, or none."""
    if not part:
        return []
    return [part] if isinstance(part, Mapping) else list(part)


def check_keys(
    given: Iterable[object], known: Iterable[str], where: str, error: type[ValueError]
) -> None:
    """Refuse keys that there are not, with the closest that there is.

    Args:
        given: keys of a dict in a config.
        known: that are read.
        where: the dict, in messages.
        error: that is raised.
    """
    known = list(known)
    for key in given:
        if key not in known:
            every = f"known: {', '.join(map(repr, known)) or 'nothing'}"
            raise error(f"{where} has an unknown key {key!r}; {did_you_mean(key, known, every)}")
