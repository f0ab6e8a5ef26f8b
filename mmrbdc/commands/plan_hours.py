"""What ``plan --measure`` prints: how long every stage takes on the machine at hand."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mmrbdc.analysis.units import format_time
from mmrbdc.terminal import shown
from mmrbdc.wording import counted

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmrbdc.engine.stages.speed import StageSpeed
    from mmrbdc.plan import Plan


def stages_speed(cfg: "Config", plan: "Plan", steps: int) -> Iterator["StageSpeed"]:
    """Measure every stage of a plan by so many steps; its data are read."""
    from mmrbdc.datasets import check_config_data
    from mmrbdc.engine.stages.speed import measure_stage
    from mmrbdc.engine.stages.stage_setup import stage_runs

    check_config_data(cfg)
    for row, _, run in stage_runs(cfg, plan, seed=0):
        if not row.skipped:
            run.model.init_cfgs = None  # grown members are not there yet
            yield measure_stage(row.name, run, row.iters, plan.feed.batch_size, steps)


def print_hours(screen: Console, found: list["StageSpeed"], *, gpus: int) -> None:
    """Print hours a stage and in all, what bounds it, and the workers that would do."""
    from mmrbdc.engine.hooks.throughput import device_name

    devices = f"{gpus} of {device_name()}" if gpus > 1 else device_name()
    screen.print(f"\nMeasured on {shown(device_name())}:")
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    headings = ("step\nms", "loading\nms", "bound by", "images/s\nneeded", "workers\nneeded")
    for heading in (*headings, "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found:
        table.add_row(
            shown(one.name),
            f"{1000 * one.step_s:.1f}",
            f"{1000 * one.load_s:.1f}",
            one.bound,
            f"{one.images_needed:,.0f}",
            f"{one.workers_needed} ({one.workers})",
            format_time(3600 * one.hours(gpus)),
        )
    table.add_section()
    total = sum(one.hours(gpus) for one in found)
    table.add_row("total", *[""] * 5, format_time(3600 * total), style="bold")
    screen.print(table)
    batch = counted(found[0].batch, "image")
    screen.print(
        f"Steps of {batch} and the loading of as many, apart, on one device; the time is that of "
        f"{shown(devices)}, without validation and without what several lose to each other. In "
        "brackets the workers that the config has."
    )
