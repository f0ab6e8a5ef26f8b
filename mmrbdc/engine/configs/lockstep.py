"""How the members of a stage share their run: the config's ``lockstep``."""

from collections.abc import Mapping
from typing import Any

from mmrbdc.models.siblings import COMPUTE
from mmrbdc.plan import PlanError, without_removed
from mmrbdc.plan.values import check_keys

LOCKSTEP: dict[str, tuple[Any, ...]] = dict(
    compute=COMPUTE,
    channels_last=(False, True),
)
"""Every option and its values, the default first.

They are those of :class:`mmrbdc.models.Siblings`.
"""


def lockstep_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a staged config, defaults filled in.

    Raises:
        PlanError: an option or a value that there is not.
    """
    given = without_removed(config.get("lockstep") or {}, "lockstep")
    check_keys(given, list(LOCKSTEP), "lockstep")
    for name, value in given.items():
        if value not in LOCKSTEP[name]:
            choices = " or ".join(repr(choice) for choice in LOCKSTEP[name])
            raise PlanError(f"lockstep.{name} is {value!r}; it must be {choices}")
    return {name: given.get(name, values[0]) for name, values in LOCKSTEP.items()}
