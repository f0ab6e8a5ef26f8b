"""Which hooks of a run decide its weights, and which leave them alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.registry import HOOKS

from mmrbdc.config_parts import class_name

LEAVE_WEIGHTS = {
    "mmengine": (
        "CheckpointHook",
        "EmptyCacheHook",
        "IterTimerHook",
        "LoggerHook",
        "NPUProfilerHook",
        "NaiveVisualizationHook",
        "ProfilerHook",
        "RuntimeInfoHook",
    ),
    "mmpretrain": ("VisualizationHook",),
}
"""Hooks of other packages that log, time, draw or save; none draws a random number."""

_OWN = {"param_scheduler": "ParamSchedulerHook", "sampler_seed": "DistSamplerSeedHook"}
"""Which of MMEngine's ``default_hooks`` decide the weights of every run, whether named or not."""


def deciding_hooks(hooks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Those of ``custom_hooks`` that may change weights, in the scope of the run."""
    return [dict(hook) for hook in hooks if not _leaves_weights(hook)]


def deciding_defaults(hooks: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """Those of ``default_hooks`` that may change weights and are not as MMEngine has them.

    ``None`` stands for one of MMEngine's that was taken out.
    """
    found: dict[str, Any] = {}
    for name, hook in hooks.items():
        if hook is None:
            if name in _OWN:
                found[name] = None
        elif [*hook] == ["type"] and class_name(hook["type"]) == _OWN.get(name):
            continue
        elif not _leaves_weights(hook):
            found[name] = dict(hook)
    return found


def _leaves_weights(hook: Mapping[str, Any]) -> bool:
    """Whether a hook's class says so itself (``leaves_weights = True``), or is known to.

    A class derived from such a one may do anything, so it has to say so again.
    """
    kind = hook.get("type")
    if isinstance(kind, str):
        with HOOKS.switch_scope_and_registry(hook.get("_scope_")) as registry:
            kind = registry.get(kind)
    if not isinstance(kind, type):
        return False
    package = kind.__module__.partition(".")[0]
    known = kind.__name__ in LEAVE_WEIGHTS.get(package, ())
    return known or vars(kind).get("leaves_weights") is True
