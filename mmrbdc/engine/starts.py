"""What a junction may do beside the paper's plain rule, see ``mmrbdc.plan.Protocol``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from mmrbdc.engine.calibrate import calibrate_streams, calibration_loader
from mmrbdc.engine.once import found_once
from mmrbdc.engine.stage_config import ordinary_config
from mmrbdc.engine.stage_setup import StageSetup
from mmrbdc.weights import read_checkpoint


def matched_streams(
    setup: StageSetup, before: StageSetup, parents: Sequence[Sequence[Path]], seed: int
) -> list[dict[str, Any]]:
    """Factors that match the residual streams of each child's parents, and what they cost.

    They are found once a junction and kept in the stage's ``streams.json``; every rank must call
    this.

    Args:
        setup: the coming stage.
        before: the parents' stage.
        parents: the files of each child's parents.
        seed: of the protocol.

    Returns:
        One dict a child: ``factors`` (one a parent), ``images`` and ``flops``.
    """

    def find() -> list[dict[str, Any]]:
        return [_matched(setup, before, group, seed) for group in parents]

    return found_once(setup.folder / "streams.json", setup.hash, find, alone=False)


def _matched(
    setup: StageSetup, before: StageSetup, group: Sequence[Path], seed: int
) -> dict[str, Any]:
    result = calibrate_streams(
        [read_checkpoint(member).state_dict for member in group],
        ordinary_config(before.config).model,
        calibration_loader(before.config, seed),
    )
    factors = result.factors.tolist()
    MMLogger.get_current_instance().info(
        f"residual streams of {setup.row.name} matched on {result.images} images, factors "
        + ", ".join(f"{factor:.3f}" for factor in factors)
    )
    return dict(factors=factors, images=result.images, flops=result.flops)
