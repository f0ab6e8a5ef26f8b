"""The scope that MMEngine notes in what it read from ``mmrbdc::``."""

from typing import Any

from mmengine.config import Config


def drop_scope(cfg: Config) -> None:
    """Remove ``_scope_='mmrbdc'``, which MMEngine writes into what comes from ``mmrbdc::...``.

    There it would look for every type in mmrbdc's registries only. Our configs mean the run's
    default scope, and name ours where a type is ours; so a config is the same, and has the same
    fingerprint, whether its base is named by its path or by ``mmrbdc::``.
    """
    for value in list(cfg.values()):
        _drop(value)


def _drop(value: Any) -> None:
    if isinstance(value, dict):
        if value.get("_scope_") == "mmrbdc":
            del value["_scope_"]
        for item in value.values():
            _drop(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _drop(item)
