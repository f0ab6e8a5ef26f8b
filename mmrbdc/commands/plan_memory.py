"""What ``plan --memory`` prints: the memory of every stage's training step, and what would fit."""

import copy
import inspect
import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mmrbdc.plan.show import in_bytes
from mmrbdc.terminal import shown
from mmrbdc.wording import counted

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmrbdc.engine.cost.memory import StepMemory
    from mmrbdc.plan import Plan

_ROOM = 0.9
"""Share of a card that a step may take: the rest is the driver's, workspaces' and gaps."""


def stages_memory(
    cfg: "Config", plan: "Plan", *, gpus: int, batch: int | None
) -> Iterator[tuple[str, "StepMemory"]]:
    """The name and the memory of every stage's step.

    Args:
        cfg: the staged config.
        plan: its plan; of searches as if they found their largest sub-net.
        gpus: that train together.
        batch: images a GPU; ``None`` for the config's.
    """
    from mmrbdc.engine.cost.memory import step_memory
    from mmrbdc.engine.stages.stage_setup import stage_runs

    count = len(plan.rows)
    for index, (row, config, run) in enumerate(stage_runs(cfg, plan, seed=0)):
        if row.skipped:
            continue
        pixels = [size for _, size in row.searching]
        size = (max(pixels), max(pixels)) if pixels else row.img_size
        assert size is not None
        yield (
            row.name,
            step_memory(
                run,
                size,
                batch or config.train_dataloader.batch_size,
                processes=gpus,
                average=plan.protocol.average is not None and index + 1 < count,
            ),
        )


def print_memory(
    screen: Console,
    found: list[tuple[str, "StepMemory"]],
    *,
    gpus: int,
    amp: bool,
    card_gb: float | None,
    checkpointed: "Callable[[], list[tuple[str, StepMemory]]]",
    of: str = "stage",
) -> None:
    """Print the table, and for a card of so many GB what does not fit and what would.

    Args:
        screen: where it goes.
        found: memory by name.
        gpus: that train together.
        amp: bfloat16 autocast.
        card_gb: of the card; ``None`` for none.
        checkpointed: counts with activation checkpointing; nothing where the backbone has none.
        of: what has these names.
    """
    batch = found[0][1].batch
    screen.print(
        f"\nMemory of a training step on {'each of ' if gpus > 1 else ''}{counted(gpus, 'GPU')}, "
        f"{counted(batch, 'image')}{' each' if gpus > 1 else ''}, "
        f"{'bfloat16 autocast' if amp else 'as the config has it'}:"
    )
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column(of, no_wrap=True)
    averages = any(memory.average for _, memory in found)
    names = ["weights", "gradients", *(["buckets"] if gpus > 1 else []), "optimizer"]
    names += [*(["average"] if averages else []), "activations", "peak"]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for stage, memory in found:
        table.add_row(shown(stage), *(in_bytes(getattr(memory, name)) for name in names))
    screen.print(table)
    screen.print(
        "Counted without a GPU. Not in it: the driver, workspaces of cuDNN and cuBLAS, gaps of the "
        "allocator; leave a tenth of the card to them."
    )
    if card_gb is None:
        return
    for line in _of_card(found, card_gb, of, amp):
        screen.print(line)
    if max(memory.peak for _, memory in found) > card_gb * 1e9 * _ROOM:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of how MMPretrain calls it
            less = checkpointed()
        for line in _of_checkpoints(less, card_gb):
            screen.print(line)


def _of_checkpoints(found: list[tuple[str, "StepMemory"]], card_gb: float) -> list[str]:
    if not found:
        return []
    peak = max(memory.peak for _, memory in found)
    fits = "and fits" if peak <= card_gb * 1e9 * _ROOM else "which is too much, too"
    return [
        f"With activation checkpointing (--cfg-options model.backbone.with_cp=True) it takes "
        f"{in_bytes(peak)}, {fits}, for about a third more compute."
    ]


def with_checkpoints(cfg: "Config", scope: str) -> "Config | None":
    """A copy whose backbone keeps only what its blocks begin with; ``None`` where it cannot, or
    does already.
    """
    from mmengine.registry import DefaultScope

    from mmrbdc.registry import MODELS

    backbone = cfg.model.backbone
    with DefaultScope.overwrite_default_scope(scope):
        kind = backbone.type if isinstance(backbone.type, type) else MODELS.get(backbone.type)
    if kind is None or backbone.get("with_cp"):
        return None
    inits = [vars(base)["__init__"] for base in kind.__mro__[:-1] if "__init__" in vars(base)]
    if not any("with_cp" in inspect.signature(init).parameters for init in inits):
        return None
    changed = copy.deepcopy(cfg)
    changed.model.backbone.with_cp = True
    return changed


def counted_with_checkpoints(
    cfg: "Config", scope: str, count: "Callable[[Config], Iterable[tuple[str, StepMemory]]]"
) -> list[tuple[str, "StepMemory"]]:
    """What a config takes whose backbone keeps only what its blocks begin with; nothing where it
    cannot.
    """
    changed = with_checkpoints(cfg, scope)
    return list(count(changed)) if changed is not None else []


def plan_detector(
    cfg: "Config",
    *,
    gpus: int,
    batch: int | None,
    card_gb: float | None,
    as_json: bool,
) -> None:
    """Print the memory of a detector's training step at the largest image of its recipe.

    Args:
        cfg: of the detector.
        gpus: that train together.
        batch: images a GPU; ``None`` for the config's.
        card_gb: of a card; ``None`` for none.
        as_json: print bytes as JSON.
    """
    from mmrbdc.engine.configs.custom_imports import import_custom
    from mmrbdc.engine.cost.detector_memory import detector_step_memory, largest_image
    from mmrbdc.engine.optim.amp import autocasts
    from mmrbdc.plan import PlanError
    from mmrbdc.plan.show import WIDTH
    from mmrbdc.terminal import console

    if cfg.get("default_scope") == "mmpretrain":
        raise PlanError(
            "--memory is for protocols and for detectors, and this config is of a classifier "
            "without stages; give it stages=[dict(members=1, width=1, epochs=...)] and a protocol, "
            "as configs/baselines do"
        )
    import_custom(cfg)
    height, width = largest_image(cfg)
    name = f"{width} x {height} px"

    def count(config: "Config") -> list[tuple[str, "StepMemory"]]:
        images = batch or config.train_dataloader.batch_size
        step = detector_step_memory(config, (height, width), images, processes=gpus)
        return [(name, step)]

    found = count(cfg)
    if as_json:
        memory = {name: dict(asdict(one), peak=one.peak) for name, one in found}
        print(json.dumps({"memory": memory}, indent=2))
        return
    screen = console(WIDTH)
    print_memory(
        screen,
        found,
        gpus=gpus,
        amp=autocasts(cfg),
        card_gb=card_gb,
        checkpointed=partial(counted_with_checkpoints, cfg, "mmdet", count),
        of="largest image",
    )


def _of_card(
    found: list[tuple[str, "StepMemory"]], card_gb: float, of: str, amp: bool
) -> list[str]:
    available = card_gb * 1e9 * _ROOM
    stage, worst = max(found, key=lambda item: item[1].peak)
    if worst.peak <= available:
        what = f"All {of}s fit" if len(found) > 1 else "It fits"
        return [f"{what} on a card of {card_gb:g} GB."]
    fitting = min(memory.largest_batch(available) for _, memory in found)
    lines = [f"{stage} takes {in_bytes(worst.peak)} and does not fit on a card of {card_gb:g} GB."]
    if fitting < 1:
        return [*lines, f"Not one image does: take a larger card{'' if amp else ' or --amp'}."]
    parts = -(-worst.batch // fitting)
    while worst.batch % parts:
        parts += 1
    return [
        *lines,
        f"What does, for the same {counted(worst.batch, 'image')} a step: --cfg-options "
        f"train_dataloader.batch_size={worst.batch // parts} "
        f"optim_wrapper.accumulative_counts={parts}. BatchNorm then sees "
        f"{counted(worst.batch // parts, 'image')} at a time.",
    ]
