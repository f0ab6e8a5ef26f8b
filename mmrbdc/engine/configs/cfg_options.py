"""``--cfg-options``: checked before they are merged, and kept, so that they win over a stage's
overrides.
"""

import inspect
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmrbdc.engine.configs.staged_keys import SET_BY_USERS
from mmrbdc.typed_options import Typed
from mmrbdc.wording import did_you_mean

_RUNNER_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) - {"self"} | {
    "activation_checkpointing",
    "compile",
    "custom_imports",
    "efficient_conv_bn_eval",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "sync_bn",
}
"""What MMEngine's Runner reads from the top level of a config."""

_TEXT_KEYS = ("experiment_name", "load_from", "work_dir")
"""Where MMEngine takes text and a config holds none, as a rule."""

_SHOWN = 4


def merge_options(cfg: Config, options: dict[str, Any] | None) -> None:
    """Merge ``--cfg-options`` into ``cfg`` and remember them in ``cfg.cfg_options``.

    Args:
        cfg: a loaded config; changed in place.
        options: dotted keys and values; those that were typed (:class:`Typed`) are read as what
            the config holds there: text stays text.

    Raises:
        ValueError: an option whose first part neither the config nor MMEngine's Runner knows, or
            is a name that the config's files use among themselves (``max_epochs``), whose value
            has been copied by then; one that reaches past the end of a list, or into what has no
            parts; or a value that cannot be read.
    """
    options = dict(options or {})
    read = _RUNNER_KEYS | set(SET_BY_USERS)
    known = sorted(read | set(cfg))
    for key in options:
        if "" in key.split("."):
            raise ValueError(f"--cfg-options {key}: one of its parts is empty; take out a dot")
        root = key.split(".")[0]
        if root not in known:
            hint = did_you_mean(root, known, f"known: {', '.join(sorted(cfg))}")
            raise ValueError(f"--cfg-options {key}: the config has no {root!r}; {hint}")
        if root not in read:
            held = [path for name in sorted(read & set(cfg)) for path in _holding(cfg, name, root)]
            telling = not isinstance(cfg[root], int | float)  # many keys hold a 2
            named = [path for path in held if telling or path.rpartition(".")[2] == root]
            others = [path for path in held if path not in named]
            raise ValueError(
                f"--cfg-options {key}: {root!r} is a name that the config's files use among "
                "themselves; by now its value has been copied to where it is read"
                + (f" ({_some(named)})" if named else "")
                + ". Set it there, or in the file"
                + (f". The same value, perhaps by chance, have {_some(others)}" if others else "")
            )
    for key, value in options.items():
        _check_place(cfg, key)
        if isinstance(value, Typed):
            options[key] = value = value.value(key, _held(cfg, key))
        cfg.merge_from_dict({key: value})
    if options:
        cfg.cfg_options = options


def _check_place(cfg: Config, key: str) -> None:
    """Check that what the config holds on the way to a key has parts, of such a name."""
    node: Any = cfg
    parts = key.split(".")
    for depth, part in enumerate(parts):
        place = ".".join(parts[:depth])
        held = f"--cfg-options {key}: the config holds"
        if isinstance(node, dict | Config):
            if part not in node:
                return
            node = node[part]
        elif not isinstance(node, list | tuple):
            raise ValueError(
                f"{held} {node!r} at {place}, which has no parts; a dict in its place is written "
                "in a config file"
            )
        elif isinstance(node, tuple) or not any(isinstance(entry, dict | list) for entry in node):
            kind = type(node).__name__
            raise ValueError(f"{held} a {kind} at {place}, which is set as a whole: {place}=VALUE")
        elif not part.isdigit() or int(part) >= len(node) or depth == len(parts) - 1:
            raise ValueError(
                f"{held} a list of {len(node)} at {place}; the parts of each are set by its "
                f"number, the first by {place}.0.PART=VALUE"
            )
        else:
            node = node[int(part)]


def _held(cfg: Config, key: str) -> Any:
    """What the config holds at a dotted key, ``None`` if nothing.

    A stage's own key that the stage does not have yet is the whole config's.
    """
    node: Any = cfg
    parts = key.split(".")
    for part in parts:
        try:
            node = node[int(part)] if isinstance(node, list | tuple) else node[part]
        except (KeyError, IndexError, TypeError, ValueError):
            if parts[0] == "stages" and len(parts) > 2:
                return _held(cfg, ".".join(parts[2:]))
            return "" if key in _TEXT_KEYS else None
    return "" if node is None and key in _TEXT_KEYS else node


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{', '.join(paths[:_SHOWN])}{more}"


def _holding(cfg: Config, name: str, root: str) -> list[str]:
    """Dotted keys below ``name`` whose value is that of the top-level ``root``."""
    found = []

    def look(value: Any, path: str) -> None:
        if type(value) is type(cfg[root]) and value == cfg[root]:
            found.append(path)
        elif isinstance(value, dict):
            for key, item in value.items():
                look(item, f"{path}.{key}")
        elif isinstance(value, list | tuple):
            for position, item in enumerate(value):
                look(item, f"{path}.{position}")

    look(cfg[name], name)
    return found
