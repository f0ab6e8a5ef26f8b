"""Keys that configs had once: one that asks for what is gone is told what to write instead."""

from collections.abc import Mapping
from typing import Any

from mmrbdc.plan.errors import PlanError

_NO_GAIN = "it was measured without a gain (docs/results/README.md) and is gone; leave it out"

REMOVED: dict[str, tuple[Any, str]] = {
    "protocol.streams": ("plain", _NO_GAIN),
    "protocol.norm_ramp": (0, _NO_GAIN),
    "lockstep.augmentation": (
        "shared",
        "augmentations of each member's own were measured without a gain (docs/results/README.md) "
        "and are gone; leave it out: all members see the same augmented images",
    ),
}
"""Key of a staged config: its value that is what happens anyway, and what to do about others."""


def without_removed(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Leave out keys that are gone, where they say what happens anyway.

    Args:
        settings: one part of a staged config.
        where: that part: ``protocol`` or ``lockstep``.

    Raises:
        PlanError: one of them asks for something else.
    """
    kept = {}
    for key, value in settings.items():
        if f"{where}.{key}" not in REMOVED:
            kept[key] = value
            continue
        plain, told = REMOVED[f"{where}.{key}"]
        if value != plain:
            raise PlanError(f"the config has {where}.{key}={value!r}: {told}")
    return kept
