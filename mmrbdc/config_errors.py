"""What a config gets wrong and only the classes that it names can tell, in one line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any
from urllib.error import URLError

from mmrbdc.config_parts import class_name
from mmrbdc.ops import lacks_ops
from mmrbdc.wording import did_you_mean

_OF_CONSTRUCTORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    RuntimeError,
    TypeError,
    URLError,
)
"""What a class raises over arguments that it did not expect."""

_IN_WORDS = (ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""What says in words what is wrong; classes derived from these are ours and say where as well."""

_OF_THE_MACHINE = ("OutOfMemoryError", "DistBackendError", "DistNetworkError", "DistStoreError")

_UNKNOWN = "is not in the "
_NO_OPTIMIZER = "None is not a callable"
"""What MMEngine's constructor of optimizers says of a name that nobody registered."""

_LONGEST = 160


class ConfigError(ValueError):
    """A part of a config of which nothing can be built; the message names it."""


@contextmanager
def told_as_config_error(
    part: str, config: Any = None, *, within: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Name the part of a config in what fails while objects are built from it, and tried.

    Only that belongs inside: there a ``TypeError`` is, as a rule, a value of
    the wrong kind in the config. ``MMRBDC_TRACEBACK=1`` shows where it was raised (:mod:`.cli`).

    Args:
        part: dotted key in the config.
        config: what stands there, shown where it is not clear which class failed.
        within: names of functions that build another part on the way, and that part.

    Raises:
        ConfigError: in place of what constructors raise. Errors of ours, which name their place,
            and those of the machine (memory, processes) stay as they are.
    """
    try:
        yield
    except _IN_WORDS as error:
        place = _place(error, part, within)
        if type(error) not in _IN_WORDS or place.split(".")[0] in str(error):
            raise
        text = " ".join(line.strip() for line in str(error).splitlines()).rstrip(".")
        raise ConfigError(f"{place}: {text}; correct the config or --cfg-options") from error
    except _OF_CONSTRUCTORS as error:
        if lacks_ops(error) or type(error).__name__ in _OF_THE_MACHINE:
            raise
        told = _unknown_type(error, config) or f"{_built(error, config)}{_reason(error)}"
        place = _place(error, part, within)
        raise ConfigError(f"{place}: {told}; correct the config or --cfg-options") from error


def _place(error: BaseException, part: str, within: Mapping[str, str] | None) -> str:
    names = [frame.f_code.co_name for frame in _frames(error)]
    return next((other for name, other in (within or {}).items() if name in names), part)


def _reason(error: BaseException) -> str:
    told = error.args[0] if isinstance(error, KeyError) and error.args else error
    text = " ".join(str(told).split())
    if len(text) > 2 * _LONGEST:
        text = f"{text[: 2 * _LONGEST]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _unknown_type(error: BaseException, config: Any) -> str | None:
    """Say of a name that no registry knows which names are like it."""
    text = str(error.args[0]) if error.args else ""
    if isinstance(error, KeyError) and _UNKNOWN in text:
        frames = [frame for frame in _frames(error) if "registry" in frame.f_locals]
        registry = frames[-1].f_locals["registry"] if frames else None
        return _not_known(text.split(f" {_UNKNOWN}")[0], registry)
    if isinstance(error, TypeError) and _NO_OPTIMIZER in text:
        from mmengine.registry import OPTIMIZERS

        optimizer = config.get("optimizer", config) if isinstance(config, Mapping) else {}
        return _not_known(str(optimizer.get("type")), OPTIMIZERS)
    return None


def _not_known(name: str, registry: Any) -> str:
    hint = did_you_mean(name, sorted(_names(registry)), "no name is like it", most=3)
    kind = f" {registry.name}" if registry is not None else ""
    return f"type {name!r} names no{kind} that is registered: {hint}"


def _names(registry: Any) -> set[str]:
    """What can be written as ``type``: names of this registry and of those above it."""
    names: set[str] = set()
    while registry is not None:
        names |= set(registry.module_dict)
        registry = registry.parent
    return names


def _built(error: BaseException, config: Any) -> str:
    """The class that was being built, with those of its arguments that are short."""
    frames = [frame for frame in _frames(error) if frame.f_code.co_name == "build_from_cfg"]
    kind = frames[-1].f_locals.get("obj_type") if frames else None
    if kind is not None:
        values = frames[-1].f_locals.get("args") or {}
        return f"{class_name(kind)}({_short(values)}) fails: "
    return f"dict({_short(config)}) fails: " if isinstance(config, Mapping) else ""


def _short(values: Mapping[str, Any]) -> str:
    shown = ""
    for name, value in _leaves(values):
        word = f"{', ' if shown else ''}{name}={value!r}"
        if len(shown) + len(word) > _LONGEST:
            return f"{shown}, ..." if shown else "..."
        shown += word
    return shown


def _leaves(values: Mapping[str, Any], key: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers, words and short lists of them, with dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{key}{name}.")
        elif isinstance(value, str | int | float | None) or (
            isinstance(value, list | tuple)
            and all(isinstance(item, str | int | float) for item in value)
        ):
            yield f"{key}{name}", value


def _frames(error: BaseException) -> list[FrameType]:
    frames, step = [], error.__traceback__
    while step is not None:
        frames.append(step.tb_frame)
        step = step.tb_next
    return frames
