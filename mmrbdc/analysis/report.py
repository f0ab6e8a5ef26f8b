"""The comparison as files: ``results.json``, a self-contained ``report.html`` and its figures."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from mmrbdc.weights import atomic_write, write_json

from . import page
from .charts.accuracy import accuracy_chart
from .charts.bars import AP_METRICS, ap_chart
from .charts.budget import budget_chart
from .charts.palette import group_colours
from .charts.recursion import recursion_chart
from .charts.series import Series
from .pretraining import PretrainingRun
from .rows import RANDOM, Comparison, Row
from .statistics import (
    METRICS,
    Group,
    families,
    groups,
    paired_differences,
    shown_value,
)
from .table import (
    DIFFERENCE_HEADINGS,
    HEADINGS,
    difference_cells,
    differences_note,
    group_cells,
)
from .units import family_label, format_flops, format_time, method_label

Figures = dict[str, Callable[[float], str]]
"""File stem -> function from a width in pixels to an SVG."""

_FLOPS_NOTE = (
    "How FLOPs are counted: one multiply-add is 2 FLOPs, so papers that count multiply-adds print "
    "half of these numbers. The forward pass is counted by PyTorch's own counter on the model as "
    "configured, the backward pass as twice the forward pass; a training step is three forward "
    "passes. Charged are the samples that were really processed, over all members of all stages, "
    "and one-off costs of a growth operator. Fine-tuning a detector is not in it: it costs the "
    "same for every method."
)
_RESULTS_NOTE = (
    "AP is COCO's, averaged over IoU 0.50 to 0.95 and times 100. Wall time is pretraining plus "
    "fine-tuning."
)
_WHISKERS_NOTE = " Whiskers are one standard deviation, dots are seeds."
_SPREAD_NOTE = " a ± b (n): mean, sample standard deviation and number of seeds."


def write_report(comparison: Comparison, out: Path) -> dict[str, Path]:
    """Write ``results.json``, ``report.html`` and ``figures/*.svg`` into ``out``.

    Returns:
        The paths of ``'results'`` and ``'report'``.
    """
    paths = {"results": out / "results.json", "report": out / "report.html"}
    write_json(paths["results"], [row.to_dict() for row in comparison.rows])
    for stem, draw in _figures(comparison).items():
        _write_text(out / "figures" / f"{stem}.svg", draw(page.WIDE))
    _write_text(paths["report"], report_html(comparison))
    return paths


def report_html(comparison: Comparison) -> str:
    """Return the report's page: valid XML, no scripts, nothing fetched from elsewhere."""
    found = groups(comparison)
    figures = _figures(comparison)
    sections = [_table_section(comparison, found)]
    plans = [stem for stem in figures if stem.startswith(("plan-", "budget-"))]
    if plans:
        sections.append(
            page.section(
                "The plan",
                "Each square is one model's weight matrix, its side the model's width. Parents "
                "become the coloured blocks on their child's diagonal. White blocks are zero when "
                "the models are coupled and learn from then on; tinted ones have learned since.",
                *_drawn(figures, plans, comparison),
            )
        )
    curves = [stem for stem in figures if stem.startswith("accuracy-")]
    if curves:
        sections.append(
            page.section(
                "Accuracy over training FLOPs",
                "Validation accuracy while training. The horizontal axis counts what every model "
                "of every stage has spent so far. Dotted verticals are junctions: narrow models "
                "are coupled into wider ones, and the child is scored before its first step.",
                *_drawn(figures, curves, comparison),
                *_junction_table(comparison.pretrainings),
            )
        )
    bars = [stem for stem in figures if stem.startswith("ap-")]
    if bars:
        sections.append(
            page.section(
                "Detection and instance segmentation",
                "COCO AP after fine-tuning the same detector from each backbone."
                + (_WHISKERS_NOTE if len(comparison.rows) > len(found) else ""),
                *_drawn(figures, bars, comparison),
            )
        )
    return page.page(_title(found), _summary(comparison, found), sections, [_FLOPS_NOTE])


def _figures(comparison: Comparison) -> Figures:
    """Return every figure of the report under the name of its file."""
    found = groups(comparison)
    figures: Figures = {}
    for family in families(found):
        own = [group for group in found if group.family == family]
        colours = group_colours(own)
        series = _series(comparison, own, colours)
        for one in series:
            if one.is_recursion:
                figures[f"plan-{one.runs[0].name}"] = partial(recursion_chart, one.runs[0])
        if series:
            figures[f"budget-{family}"] = partial(budget_chart, series)
            figures[f"accuracy-{family}"] = partial(accuracy_chart, series)
        detected = [group for group in own if any(group.spread(field) for field in AP_METRICS)]
        if detected:
            figures[f"ap-{family}"] = partial(ap_chart, detected, colours)
    return figures


def _series(
    comparison: Comparison, found: Sequence[Group], colours: Mapping[str, str]
) -> list[Series]:
    """Gather the pretraining runs of one family by protocol, in their groups' colours."""
    runs: dict[tuple[str, str], list[PretrainingRun]] = {}
    for run in comparison.pretrainings:
        if run.family == found[0].family:
            runs.setdefault((run.method, run.name), []).append(run)
    methods = [method for method, _ in runs]
    series = []
    for (method, name), own in runs.items():
        group = next(g for g in found if (g.method, g.rows[0].name) == (method, name))
        label = method_label(method) + (f", {name}" if methods.count(method) > 1 else "")
        series.append(Series(label, colours[group.label], tuple(own)))
    return series


def _drawn(figures: Figures, stems: Sequence[str], comparison: Comparison) -> list[str]:
    """Return figures in both layouts, headed by family or protocol where there are several."""
    names = {
        **{f"plan-{run.name}": run.name for run in comparison.pretrainings},
        **{
            f"budget-{row.family}": f"{family_label(row.family)}: training FLOPs by stage"
            for row in comparison.rows
        },
        **{f"accuracy-{row.family}": family_label(row.family) for row in comparison.rows},
        **{f"ap-{row.family}": family_label(row.family) for row in comparison.rows},
    }
    return [
        part
        for stem in stems
        for part in (
            *([page.subheading(names[stem])] if len(stems) > 1 else []),
            page.figure(figures[stem](page.WIDE), figures[stem](page.NARROW)),
        )
    ]


def _table_section(comparison: Comparison, found: Sequence[Group]) -> str:
    cells = [group_cells(group) for group in found]
    parts = [page.table(HEADINGS, cells, text_columns=2, cards=True)]
    differences = paired_differences(found)
    if differences:
        paired = [difference_cells(difference) for difference in differences]
        parts += [
            page.subheading("Differences paired by seed, in points"),
            page.table(DIFFERENCE_HEADINGS, paired, text_columns=3),
            page.note(differences_note(differences)),
        ]
    if len(comparison.rows) > len(found):
        parts.append(page.details("Every run", _runs_table(found)))
    note = _RESULTS_NOTE + (_SPREAD_NOTE if len(comparison.rows) > len(found) else "")
    return page.section("Results", note, *parts)


def _runs_table(found: Sequence[Group]) -> str:
    def cells(group: Group, row: Row) -> list[str]:
        values = (shown_value(row, field) for field in METRICS)
        return [
            group.label,
            row.family,
            "-" if row.seed is None else str(row.seed),
            format_flops(row.train_flops) if row.train_flops else "none",
            *("-" if value is None else f"{value:.2f}" for value in values),
            "-" if row.pretrain_wall_s is None else format_time(row.pretrain_wall_s),
            "-" if row.finetune_wall_s is None else format_time(row.finetune_wall_s),
        ]

    headings = ("method", "family", "seed", "training FLOPs", *METRICS.values(),
                "pretraining", "fine-tuning")  # fmt: skip
    rows = [cells(group, row) for group in found for row in group.rows]
    return page.table(headings, rows, text_columns=2)


def _junction_table(runs: Sequence[PretrainingRun]) -> list[str]:
    rows = []
    for run in runs:
        for before, stage in zip(run.stages, run.stages[1:], strict=False):
            assert stage.junction is not None
            rows += [
                [
                    run.name,
                    "-" if run.seed is None else str(run.seed),
                    f"{before.width} → {stage.width}",
                    str(number),
                    ", ".join(f"{value:.1f}" for value in coupling.parents),
                    f"{coupling.ensemble:.1f}",
                    f"{coupling.child:.1f}",
                ]
                for number, coupling in enumerate(stage.junction.children)
            ]
    if not rows:
        return []
    headings = ("run", "seed", "width", "child", "parents, top-1 %", "their ensemble",
                "child before its first step")  # fmt: skip
    return [page.details("Every junction", page.table(headings, rows, text_columns=1))]


def _title(found: Sequence[Group]) -> str:
    methods = list(dict.fromkeys(method_label(group.method) for group in found))
    return f"{' vs '.join(methods)}: {', '.join(map(family_label, families(found)))}"


def _summary(comparison: Comparison, found: Sequence[Group]) -> str:
    """Say in one sentence what was compared with what, on how many seeds and which data."""
    parts = []
    for family in families(found):
        trained = [g for g in found if g.family == family and g.method != RANDOM]
        costs = [
            f"{group.label} ({format_flops(flops.mean)})"
            for group in trained
            if (flops := group.spread("train_flops"))
        ]
        if costs:
            parts.append(
                f"{family_label(family)} pretrained by {_joined(list(dict.fromkeys(costs)))}"
            )
    if any(row.detector for row in comparison.rows):
        origins = ["those backbones"] if parts else []
        origins += ["random weights"] if any(g.method == RANDOM for g in found) else []
        parts.append(f"detectors fine-tuned from {' and from '.join(origins)}")
    seeds = {row.seed for row in comparison.rows if row.seed is not None}
    over = f", over {len(seeds)} seeds" if len(seeds) > 1 else ""
    splits = {row.split or row.detector_split for row in comparison.rows} - {None}
    scored = f"; all scored on the {splits.pop()} split" if len(splits) == 1 else ""
    return f"Compared here: {_joined(parts)}{over}{scored}."


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _write_text(path: Path, content: str) -> None:
    atomic_write(path, lambda file: file.write(content.encode()) and None)
