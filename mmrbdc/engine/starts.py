"""What a junction may do beside the paper's plain rule, see ``mmrbdc.plan.Protocol``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.logging import MMLogger

from mmrbdc.engine.calibrate import calibrate_streams, calibration_loader
from mmrbdc.engine.stage_config import ordinary_config
from mmrbdc.engine.stage_setup import StageSetup
from mmrbdc.weights import read_checkpoint, write_json


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
    path = setup.folder / "streams.json"
    if path.is_file():
        found = json.loads(path.read_text())
        if found["config_hash"] == setup.hash:
            return found["children"]
    children = []
    for group in parents:
        result = calibrate_streams(
            [read_checkpoint(member).state_dict for member in group],
            ordinary_config(before.config).model,
            calibration_loader(before.config, seed),
        )
        factors = result.factors.tolist()
        children.append(dict(factors=factors, images=result.images, flops=result.flops))
        MMLogger.get_current_instance().info(
            f"residual streams of {setup.row.name} matched on {result.images} images, factors "
            + ", ".join(f"{factor:.3f}" for factor in factors)
        )
    barrier()
    if is_main_process():
        write_json(path, dict(config_hash=setup.hash, children=children))
    barrier()
    return children
