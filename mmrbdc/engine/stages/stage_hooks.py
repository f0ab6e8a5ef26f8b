"""The hooks that a protocol adds to each of its stages' runs."""

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from mmrbdc.engine.stages.grown_child import AVERAGE_FILE, GrownChild, child_folder
from mmrbdc.engine.stages.stage_setup import StageSetup
from mmrbdc.plan import Plan, Protocol


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
    growing = [child.flops for child in children] or [0.0] * len(indices)
    price = setup.row.price_of(indices)
    parents = [child.parents for child in children] or [()] * len(indices)
    return [
        dict(type="mmrbdc.FiniteLossHook"),
        dict(type="mmrbdc.AverageBuffersHook"),
        dict(type="mmrbdc.WallClockHook"),
        dict(
            type="mmrbdc.LedgerHook",
            price=[[since, list(figures)] for since, figures in price.changes],
            flops_before=flops_before,
            flops_once=growing,
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
            stages=len(plan.rows),
            flops_before=flops_before + sum(growing),
            flops=float(sum(price.spent(plan.feed, setup.row.iters))),
            flops_after=float(
                sum(row.flops for row in plan.rows[setup.index + 1 :] if not row.skipped)
            ),
            interval=(cfg.get("default_hooks", {}).get("logger") or {}).get("interval", 50),
        ),
        *_average(setup, protocol, indices),
        dict(type="mmrbdc.PreemptionHook"),
    ]


def _average(setup: StageSetup, protocol: Protocol, indices: Sequence[int]) -> list[dict[str, Any]]:
    """The hook that keeps a member's moving average, in stages that another one follows."""
    if protocol.average is None or setup.index == len(protocol.stages) - 1:
        return []
    initial = child_folder(setup, indices[0]) / AVERAGE_FILE
    return [
        dict(
            type="mmrbdc.MovingAverageHook",
            decay=protocol.average,
            file=str(setup.average(indices[0])),
            meta=dict(
                name=protocol.name,
                family=protocol.family,
                architecture=setup.architecture.to_dict(),
                weights="ema",
                config_hash=setup.hash,
                train_flops=0.0,
            ),
            initial=str(initial) if initial.is_file() else None,
        )
    ]
