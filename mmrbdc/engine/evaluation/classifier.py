"""Scoring a protocol's final model, or another file of its architecture, on the test split."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from mmengine.config import Config

from mmrbdc.datasets import check_config_data
from mmrbdc.engine.configs.run_config import test_config
from mmrbdc.engine.configs.stage_view import stage_config
from mmrbdc.engine.evaluation.scoring import score
from mmrbdc.models.siblings import Siblings
from mmrbdc.plan import Protocol
from mmrbdc.weights import load_strict, read_model


def score_final(
    cfg: Config,
    protocol: Protocol,
    path: Path,
    weights: Literal["raw", "ema"] | None,
    remark: Callable[[str], None],
) -> dict[str, float]:
    """Score a file on the test split.

    Args:
        cfg: the staged config.
        protocol: its protocol.
        path: of the file.
        weights: which of them, where it holds both.
        remark: is told each remark on the data.

    Returns:
        The evaluator's metrics.
    """
    run = test_config(stage_config(cfg, protocol.stages[-1], cfg.get("cfg_options")))
    for line in check_config_data(run):
        remark(line)
    siblings = Siblings(run.model, seeds=[0])
    load_strict(siblings.members[0], read_model(path, weights=weights).state_dict, source=str(path))
    metrics = score(siblings, run, "test")
    return {name: value for name, value in metrics.items() if not name.startswith("member")}
