"""One colour per group of runs, the same in every chart; distinct for the colour-blind too."""

from collections.abc import Sequence

from mmrbdc.analysis.compare.groups import Group
from mmrbdc.analysis.reading.rows import RANDOM
from mmrbdc.methods.readers import method_colour

_RANDOM_WEIGHTS = "#7d8590"
_SPARE = ("#0a8f72", "#b0569a", "#a17a00", "#5b3ea8", "#c0392b", "#3a9cc4")


def group_colours(found: Sequence[Group]) -> dict[str, str]:
    """Return label -> colour for the groups of one family."""
    colours: dict[str, str] = {}
    spare = 0
    for group in found:
        own = _RANDOM_WEIGHTS if group.method == RANDOM else method_colour(group.method)
        if own is None or own in colours.values():
            own = _SPARE[spare % len(_SPARE)]
            spare += 1
        colours[group.label] = own
    return colours
