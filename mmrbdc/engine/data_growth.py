"""Junctions whose operator needs data: children are grown once, before their stage runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from mmrbdc.engine.grown import Grown
from mmrbdc.engine.growth_context import TrainingContext
from mmrbdc.engine.once import found_once
from mmrbdc.engine.stage_setup import StageSetup
from mmrbdc.growth import get_operator
from mmrbdc.weights import save_member


def grown_with_data(
    setup: StageSetup, operator: str, settings: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Grow a stage's members with images, and keep them in its folder ``grown``.

    Args:
        setup: the coming stage.
        operator: the protocol's.
        settings: arguments of :class:`Grown`, one dict a child.

    Returns:
        One dict a child: ``file`` and ``flops``, what growing it cost. Empty for an operator that
        needs no data.
    """
    if get_operator(operator).work is None:
        return []

    def find() -> list[dict[str, Any]]:
        return [_grow(setup, index, arguments) for index, arguments in enumerate(settings)]

    return found_once(setup.folder / "grown.json", setup.hash, find, alone=True)


def _grow(setup: StageSetup, index: int, arguments: dict[str, Any]) -> dict[str, Any]:
    context = TrainingContext(setup.config, arguments["seed"])
    result = Grown(**arguments).grow(context)
    path: Path = setup.folder / "grown" / f"{index}.pth"
    meta = dict(
        family=setup.architecture.family,
        architecture=setup.architecture.to_dict(),
        operator=result.report.operator,
        growth_flops=context.flops,
    )
    save_member(path, result.state_dict, meta)
    logger = MMLogger.get_current_instance()
    logger.info(f"{setup.row.name}, member {index}, grown with {context.flops / 1e9:.3g} GFLOPs")
    for line in result.report.summary_lines():
        logger.info(line)
    return dict(file=str(path), flops=context.flops)
