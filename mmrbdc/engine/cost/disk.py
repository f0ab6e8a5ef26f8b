"""How much a protocol writes, and whether its disk holds it."""

import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmrbdc.config_parts import as_list, type_name
from mmrbdc.engine.cost.memory import kept_by_optimizer
from mmrbdc.plan import Plan, PlanError
from mmrbdc.plan.show import in_bytes

_FLOAT32 = 4
_WEIGHTS = (".pth", ".safetensors", ".tmp")


@dataclass(frozen=True)
class StageDisk:
    """Bytes of weights that a stage leaves, and that it needs while it runs.

    Attributes:
        name: of the stage.
        checkpoints: all that are kept.
        files: members, grown members and moving averages.
        passing: of a checkpoint that is written before an older one is dropped.
    """

    name: str
    checkpoints: int
    files: int
    passing: int

    @property
    def left(self) -> int:
        """Bytes that are there when it has ended."""
        return self.checkpoints + self.files


def stages_disk(cfg: Mapping[str, Any], plan: Plan) -> Iterator[StageDisk]:
    """What every stage of a plan writes: parameters in float32, what the optimizer keeps of them,
    averages; logs, figures and BatchNorm's statistics are small beside them.
    """
    hook = (cfg.get("default_hooks") or {}).get("checkpoint") or {}
    saves_optimizer = hook.get("save_optimizer", True)
    kept = kept_by_optimizer(cfg["optim_wrapper"]["optimizer"]) if saves_optimizer else 0.0
    ema = any(type_name(one) == "EMAHook" for one in as_list(cfg.get("custom_hooks")))
    last = len(plan.rows) - 1
    for index, row in enumerate(plan.rows):
        if row.skipped:
            continue
        weights = row.params * row.members * _FLOAT32
        averages = weights if plan.protocol.average is not None and index < last else 0
        one = int(weights * (1 + kept + ema)) + averages
        saved = math.ceil(row.epochs / max(1, hook.get("interval", 1)))
        most = hook.get("max_keep_ckpts", 2)
        count = min(saved, most) if most > 0 else saved
        files = (weights + averages) * (2 if index else 1)
        yield StageDisk(row.name, count * one, files, one)


def protocol_bytes(cfg: Mapping[str, Any], plan: Plan) -> int:
    """Bytes at the fullest moment of a protocol's work dir: what all stages leave, the final model
    in its two formats, and the largest checkpoint once more.
    """
    stages = list(stages_disk(cfg, plan))
    final = 2 * plan.rows[-1].params * _FLOAT32
    return sum(one.left for one in stages) + final + max(one.passing for one in stages)


def disk_line(needed: int) -> str:
    """What a plan says of it."""
    return f"On disk: up to {in_bytes(needed)} of weights (checkpoints, members, the final model)."


def check_room(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what the disk of a folder cannot hold.

    Args:
        folder: which may not be there yet.
        needed: bytes of weights that it will hold; those that it holds already count.
        what: that is begun, for the message.

    Raises:
        PlanError: says how much is missing, and what to do.
    """
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in _WEIGHTS)
    free = shutil.disk_usage(there).free
    if needed - held > free:
        raise PlanError(
            f"{what} will hold {in_bytes(needed)} of weights in {folder}, of which "
            f"{in_bytes(held)} are there, and its disk has {in_bytes(free)} left: make room, "
            "choose another --work-dir, or keep less (--cfg-options "
            "default_hooks.checkpoint.max_keep_ckpts=1, or default_hooks.checkpoint."
            "save_optimizer=False, after which a stage that is killed cannot be resumed)"
        )
