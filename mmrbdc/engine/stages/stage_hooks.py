"""The hooks that a protocol adds to each of its stages' runs."""

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from mmrbdc.engine.stages.stage_growth import GrownChild
from mmrbdc.engine.stages.stage_setup import StageSetup
from mmrbdc.plan import Plan


def protocol_hooks(
    cfg: Config,
    plan: Plan,
    setup: StageSetup,
    indices: Sequence[int],
    children: Sequence[GrownChild],
    flops_before: float,
) -> list[dict[str, Any]]:
    """Hook configs of one run.

    Args:
        cfg: the run's.
        plan: the protocol's.
        setup: the stage.
        indices: the members that are trained.
        children: as which they begin; empty in the first stage.
        flops_before: what the stages before have spent.
    """
    protocol = plan.protocol
    parents = [child.parents for child in children] or [()] * len(indices)
    return [
        dict(type="mmrbdc.FiniteLossHook"),
        dict(type="mmrbdc.AverageBuffersHook"),
        dict(type="mmrbdc.WallClockHook"),
        dict(
            type="mmrbdc.LedgerHook",
            members=len(indices),
            flops_per_sample=setup.row.train_flops_per_sample,
            flops_before=flops_before,
            flops_once=float(sum(child.flops for child in children)),
        ),
        dict(
            type="mmrbdc.MemberExportHook",
            folder=str(setup.folder),
            weights=protocol.parents,
            meta=dict(
                name=protocol.name,
                method=protocol.method,
                family=protocol.family,
                architecture=setup.architecture.to_dict(),
                stage=setup.index,
                config_hash=setup.hash,
            ),
            parents=[[parent.sha256 for parent in group] for group in parents],
            parents_flops=[sum(parent.train_flops for parent in group) for group in parents],
        ),
        dict(
            type="mmrbdc.ProgressHook",
            stage=setup.index,
            stage_flops=[float(row.flops) for row in plan.rows],
            interval=cfg.get("default_hooks", {}).get("logger", {}).get("interval", 50),
        ),
        dict(type="mmrbdc.PreemptionHook"),
    ]
