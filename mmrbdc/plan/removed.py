"""Keys that configs had once: a config that still has one is told what to write instead."""

from collections.abc import Iterable

from mmrbdc.plan.errors import PlanError

_NO_GAIN = "it was measured without a gain (docs/results/README.md) and is gone; leave it out"

REMOVED = {
    "protocol.operator": "protocol.method names the operator; leave protocol.operator out",
    "protocol.streams": _NO_GAIN,
    "protocol.norm_ramp": _NO_GAIN,
    "lockstep.augmentation": "all members see the same augmented images, each with its own mixup; "
    "members with augmentations of their own were measured without a gain "
    "(docs/results/README.md) and are gone; leave it out",
}
"""Key of a staged config: what to do about it."""


def check_removed(keys: Iterable[str], where: str) -> None:
    """Refuse keys that are gone.

    Args:
        keys: of one part of a config.
        where: that part: ``protocol`` or ``lockstep``.

    Raises:
        PlanError: one of them is gone.
    """
    for key in keys:
        told = REMOVED.get(f"{where}.{key}")
        if told:
            raise PlanError(f"the config has {where}.{key}: {told}")
