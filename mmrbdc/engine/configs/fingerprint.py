"""What decides a member's weights, and where two such accounts differ."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmrbdc.engine.configs.deciding_hooks import deciding_defaults, deciding_hooks
from mmrbdc.engine.process.precision import float32_precision

_FETCHING = ("num_workers", "persistent_workers", "pin_memory", "prefetch_factor", "worker_init_fn")
_SHOWN = 6


def fingerprint(run: Config, parent: str | None, world_size: int) -> dict[str, Any]:
    """What decides a member's weights, as plain JSON types; the same for every subset of members.

    Hooks that leave weights alone are not part of it (:mod:`.deciding_hooks`).

    Args:
        run: the stage's run config, all members, ``Grown`` without paths.
        parent: the hash of the stage before, or ``None``.
        world_size: number of processes.
    """
    with DefaultScope.overwrite_default_scope(run.get("default_scope")):
        hooks = deciding_hooks(run.get("custom_hooks") or [])
        defaults = deciding_defaults(run.get("default_hooks") or {})
    content = dict(
        model=run.model.to_dict(),
        train_dataloader=without_workers(run.train_dataloader.to_dict()),
        optim_wrapper=run.optim_wrapper.to_dict(),
        param_scheduler=[dict(scheduler) for scheduler in run.param_scheduler],
        max_iters=run.train_cfg.max_iters,
        custom_hooks=hooks,
        seed=run.randomness.seed,
        world_size=world_size,
        parent=parent,
    )
    if defaults:
        content["default_hooks"] = defaults
    if run.get("auto_scale_lr", {}).get("enable"):
        content["auto_scale_lr"] = run.auto_scale_lr.to_dict()
    for key in ("search", "moving_average"):
        if run.get(key):
            content[key] = run[key].to_dict()
    if precision := float32_precision(run):
        content["float32_precision"] = precision
    if run.get("compile"):
        content["compile"] = run.compile
    return json.loads(json.dumps(content, default=str, sort_keys=True))


def without_workers(loader: dict[str, Any]) -> dict[str, Any]:
    """A loader's config without how its samples are fetched, which changes none of them."""
    return {name: value for name, value in loader.items() if name not in _FETCHING}


def hash_of(content: dict[str, Any]) -> str:
    """A short hash of a fingerprint."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Where two fingerprints differ: ``key: old value -> new value``."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted(old.keys() | new.keys())
            for line in differences(old.get(key), new.get(key), f"{where}.{key}" if where else key)
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            line
            for i, (a, b) in enumerate(zip(old, new, strict=True))
            for line in differences(a, b, f"{where}.{i}")
        ]
    return [] if old == new else [f"{where}: {_short(old)} -> {_short(new)}"]


def listed(changed: Sequence[str]) -> str:
    """The first of some differences, a line each."""
    more = [f"and {len(changed) - _SHOWN} more"] if len(changed) > _SHOWN else []
    return "".join(f"\n  {line}" for line in [*changed[:_SHOWN], *more])


def _short(value: Any) -> str:
    text = repr(value)
    if len(text) <= 60:
        return text
    return f"{len(value)} entries" if isinstance(value, (dict, list)) else f"{text[:57]}..."
