"""What ``plan --memory`` prints: the memory of every stage's training step, and what would fit."""

from collections.abc import Iterator
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
    cfg: "Config", plan: "Plan", *, gpus: int, batch: int | None, amp: bool
) -> Iterator[tuple[str, "StepMemory"]]:
    """The name and the memory of every stage's step.

    Args:
        cfg: the staged config.
        plan: its plan; of searches as if they found their largest sub-net.
        gpus: that train together.
        batch: images a GPU; ``None`` for the config's.
        amp: bfloat16 autocast.
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
                amp=amp,
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
) -> None:
    """Print the table, and for a card of so many GB what does not fit and what would."""
    batch = found[0][1].batch
    screen.print(
        f"\nMemory of a training step on {'each of ' if gpus > 1 else ''}{counted(gpus, 'GPU')}, "
        f"{counted(batch, 'image')}{' each' if gpus > 1 else ''}, "
        f"{'bfloat16 autocast' if amp else 'as the config has it'}:"
    )
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("stage", no_wrap=True)
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
    for line in _of_card(found, card_gb) if card_gb is not None else []:
        screen.print(line)


def _of_card(found: list[tuple[str, "StepMemory"]], card_gb: float) -> list[str]:
    available = card_gb * 1e9 * _ROOM
    stage, worst = max(found, key=lambda item: item[1].peak)
    if worst.peak <= available:
        return [f"All stages fit on a card of {card_gb:g} GB."]
    fitting = min(memory.largest_batch(available) for _, memory in found)
    lines = [f"{stage} takes {in_bytes(worst.peak)} and does not fit on a card of {card_gb:g} GB."]
    if fitting < 1:
        return [*lines, "Not one image does: take a larger card or --amp."]
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
