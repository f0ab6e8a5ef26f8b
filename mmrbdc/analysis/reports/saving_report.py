"""A study as files and as a table: what every run scored, what every method saves."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from rich import box
from rich.table import Table

from mmrbdc.analysis.charts.budgets import budgets_chart
from mmrbdc.analysis.charts.ratios import ratios_chart, sweeps
from mmrbdc.analysis.reports import page
from mmrbdc.analysis.reports.table import format_spread
from mmrbdc.analysis.study.saving import CONFIDENCE, Saving, saving
from mmrbdc.analysis.study.variants import Study, Variant
from mmrbdc.analysis.units import flops_unit, format_flops
from mmrbdc.terminal import shown
from mmrbdc.weights import write_json, write_text

COLUMNS = (
    *("label", "method", "name", "seed", "epochs", "ratio", "train_flops", "growth_flops", "share"),
    *("top1", "split", "val_top1", "ensembles", "children", "wall_s", "work_dir"),
)


def savings_of(study: Study) -> dict[Variant, Saving]:
    """Compute the saving of everything that is not trained from scratch.

    Raises:
        AnalysisError: scratch has fewer than two budgets.
    """
    curve = [variant.point for variant in study.scratch]
    return {variant: saving(variant.point, curve) for variant in study.grown}


def saving_table(study: Study, savings: Mapping[Variant, Saving]) -> Table:
    """Make a table of at most 100 columns with one line per variant."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{shown(study.target)}, reference {format_flops(study.reference_flops)}; top-1 on "
        f"{study.split}",
        title_justify="left",
        caption="saving: 1 - FLOPs over those that scratch needs for the same accuracy, read off "
        "its curve; 95 %: bootstrap over seeds.",
        caption_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    size, unit = flops_unit(study.reference_flops)
    table.add_column("method", overflow="fold")
    headings = ("ratio", unit, "budget", "top-1 %", "scratch\nneeds", "saving", "95 %")
    for heading in headings:
        table.add_column(heading, justify="right", overflow="fold")
    for variant in study.variants:
        found = savings.get(variant)
        needed = found.scratch_flops if found else None
        table.add_row(
            shown(variant.label),
            "-" if variant.ratio is None else f"{variant.ratio:.2g}",
            f"{variant.flops / size:.3g}",
            f"{variant.share:.0%}",
            format_spread(variant.top1),
            "-" if needed is None else f"{needed / size:.3g}",
            found.shown(found.value) if found else "-",
            found.shown_interval if found else "-",
        )
    return table


def write_saving_report(study: Study, savings: Mapping[Variant, Saving], out: Path) -> list[Path]:
    """Write ``runs.csv``, ``saving.json`` and the figures into ``out`` and return their paths.

    ``accuracy_vs_ratio.svg`` is written where the study has runs at equal FLOPs and at several
    ratios.
    """
    written = {"runs.csv": study_csv(study)}
    written["accuracy_vs_flops.svg"] = budgets_chart(study, savings, page.WIDE)
    found = sweeps(study)
    if found:
        written["accuracy_vs_ratio.svg"] = ratios_chart(study, found, page.WIDE)
    for name, content in written.items():
        write_text(out / name, content)
    write_json(out / "saving.json", to_dict(study, savings))
    return [out / name for name in (*written, "saving.json")]


def to_dict(study: Study, savings: Mapping[Variant, Saving]) -> dict[str, Any]:
    """Return a study in plain JSON types; savings are shares, infinities words."""
    return {
        "family": study.family,
        "target": study.target,
        "reference_flops": study.reference_flops,
        "split": study.split,
        "interval": f"{CONFIDENCE:.0%} bootstrap over seeds",
        "variants": [
            {
                "label": variant.label,
                "name": variant.name,
                "epochs": list(variant.epochs),
                "ratio": variant.ratio,
                "train_flops": variant.flops,
                "share": variant.share,
                "seeds": [run.seed for run in variant.runs],
                "top1": [run.top1 for run in variant.runs],
                "saving": _plain(savings[variant]) if variant in savings else None,
            }
            for variant in study.variants
        ],
    }


def _plain(found: Saving) -> dict[str, Any]:
    words = {float("inf"): "beyond the largest budget", float("-inf"): "below the smallest budget"}
    fields = {key: words.get(value, value) for key, value in asdict(found).items()}
    return {**fields, "scratch_flops": found.scratch_flops,
            "shown": f"{found.shown(found.value)} ({found.shown_interval})"}  # fmt: skip


def study_csv(study: Study) -> str:
    """Return one line per run: ``COLUMNS``.

    ``ensembles`` and ``children`` are the validation accuracies of the parents' ensemble and of the
    child before its first step, one of each for every junction, means over children.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for variant in study.variants:
        for run in variant.runs:
            ratio = "" if variant.ratio is None else f"{variant.ratio:.4g}"
            epochs = " ".join(f"{length:.4g}" for length in variant.epochs)
            junctions = [stage.junction for stage in run.stages if stage.junction]
            ensembles, children = (
                " ".join(f"{fmean(getattr(c, side) for c in j.children):.2f}" for j in junctions)
                for side in ("ensemble", "child")
            )
            growth = sum(stage.growth_flops for stage in run.stages)
            writer.writerow(
                [variant.label, run.method, run.name, run.seed, epochs, ratio,
                 f"{run.train_flops:.0f}", f"{growth:.0f}",
                 f"{run.train_flops / study.reference_flops:.4f}", run.top1, run.split,
                 run.val_top1, ensembles, children, f"{run.wall_s:.1f}", run.path]
            )  # fmt: skip
    return text.getvalue()
