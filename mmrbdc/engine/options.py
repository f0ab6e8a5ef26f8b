"""``--cfg-options``: checked before they are merged, and kept, so that they win over a stage's
overrides.
"""

import difflib
import inspect
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

_RUNNER_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) | {
    "custom_imports",
    "find_unused_parameters",
    "sync_bn",
    "compile",
}
"""What MMEngine's Runner reads from the top level of a config."""


def merge_options(cfg: Config, options: dict[str, Any] | None) -> None:
    """Merge ``--cfg-options`` into ``cfg`` and remember them in ``cfg.cfg_options``.

    Args:
        cfg: a loaded config; changed in place.
        options: dotted keys and values, as ``mmengine.DictAction`` gives them.

    Raises:
        ValueError: an option whose first part neither the config nor MMEngine's Runner knows, or
            that reaches past the end of a list.
    """
    options = dict(options or {})
    known = sorted((_RUNNER_KEYS - {"self"}) | set(cfg))
    for key in options:
        root = key.split(".")[0]
        if root not in known:
            close = difflib.get_close_matches(root, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(cfg))}"
            raise ValueError(f"--cfg-options {key}: the config has no {root!r}; {hint}")
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError) as error:
            reason = error.args[0] if error.args else error
            raise ValueError(f"--cfg-options {key}: {reason}") from error
    if options:
        cfg.cfg_options = options
