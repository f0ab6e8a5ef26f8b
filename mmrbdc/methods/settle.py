"""A protocol as what was found on the way makes it."""

import itertools
from collections.abc import Mapping
from dataclasses import replace

from mmrbdc.methods.registry import get_method
from mmrbdc.plan import Outcome, Protocol, Step


def settled(
    protocol: Protocol, outcomes: Mapping[Step, Outcome], *, largest: bool = True
) -> Protocol:
    """Copy a protocol, its stages as the finished searches have decided.

    A protocol whose stages a config lists is returned as it is.

    Args:
        protocol: as it was parsed, or settled by fewer outcomes.
        outcomes: of the finished steps.
        largest: whether a search that has not run is taken to find its largest candidate, or its
            smallest.
    """
    if protocol.progression is None:
        return protocol
    method = get_method(protocol.method)
    chosen = {
        step.stage: outcome.chosen
        for step, outcome in outcomes.items()
        if outcome.chosen is not None
    }
    stages = method.stages(protocol.progression, chosen, largest=largest)
    return replace(
        protocol,
        stages=stages,
        operators=tuple(method.operator(*pair) for pair in itertools.pairwise(stages)),
        steps=method.steps(stages),
    )
