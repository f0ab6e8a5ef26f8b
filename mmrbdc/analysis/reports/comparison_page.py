"""The comparison as files: tables, and a self-contained ``report.html`` with its figures."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from mmrbdc.analysis.charts.accuracy import accuracy_chart
from mmrbdc.analysis.charts.bars import AP_METRICS, ap_chart
from mmrbdc.analysis.charts.budget import budget_chart
from mmrbdc.analysis.charts.palette import group_colours
from mmrbdc.analysis.charts.progression import progression_chart
from mmrbdc.analysis.charts.recursion import recursion_chart
from mmrbdc.analysis.charts.series import Series, models_of
from mmrbdc.analysis.compare.differing_images import Picture
from mmrbdc.analysis.compare.findings import Findings
from mmrbdc.analysis.compare.groups import METRICS, Group, families, shown_value
from mmrbdc.analysis.reading.rows import RANDOM, Comparison, Row
from mmrbdc.analysis.reports import page
from mmrbdc.analysis.reports.comparison_files import differences, runs_csv
from mmrbdc.analysis.reports.detection_table import detection_tables
from mmrbdc.analysis.reports.progressions import HEADING, growing, growth_words
from mmrbdc.analysis.reports.table import (
    DIFFERENCE_HEADINGS,
    HEADINGS,
    difference_cells,
    differences_note,
    group_cells,
)
from mmrbdc.analysis.units import family_label, format_flops, format_time, shown_flops
from mmrbdc.methods.readers import method_label
from mmrbdc.runs.pretraining import PretrainingRun
from mmrbdc.weights import write_json, write_text

Figures = dict[str, Callable[[float], str]]
"""File stem -> function from a width in pixels to an SVG."""

_FLOPS_NOTE = (
    "How FLOPs are counted: one multiply-add is 2 FLOPs, so papers that count multiply-adds print "
    "half of these numbers. The forward pass is counted by PyTorch's own counter on the model as "
    "configured, the backward pass as twice the forward pass; a training step is three forward "
    "passes. Charged are the samples that were really processed, over all members of all stages, "
    "and one-off costs of a growth operator. A detector's fine-tuning is counted apart, on its own "
    "forward passes; layers that are frozen cost less."
)
_COUPLED = (
    "Each square is one model's weight matrix, its side the model's width. Parents become the "
    "coloured blocks on their child's diagonal. White blocks are zero when the models are coupled "
    "and learn from then on; tinted ones have learned since."
)
_SPENT = "The bars are training FLOPs, cut where a stage ends."
_RESULTS_NOTE = (
    "AP is COCO's, averaged over IoU 0.50 to 0.95 and times 100. Wall time is pretraining plus "
    "fine-tuning. top-1 marked val is what a backbone's file says of itself, on its validation "
    "split."
)
_DETECTION_NOTE = "COCO AP after fine-tuning the same detector from each backbone."
_PREDICTIONS_NOTE = "COCO AP of the given predictions."
_WHISKERS_NOTE = " Whiskers are one standard deviation, dots are seeds."
_SPREAD_NOTE = " a ± b (n): mean, sample standard deviation and number of seeds."


def write_report(
    findings: Findings, out: Path, pictures: Sequence[Picture] = ()
) -> dict[str, Path]:
    """Write all files of a comparison into ``out``; nothing is written before all is ready.

    ``results.json`` and ``comparison.csv`` hold every run, ``differences.json`` the differences
    and warnings, ``report.html`` everything, ``figures/*.svg`` its drawings.

    Returns:
        Name of a file without its ending -> path.
    """
    results = [row.to_dict() for row in findings.comparison.rows]
    texts = {
        "comparison.csv": runs_csv(findings),
        "report.html": report_html(findings, pictures),
    }
    texts |= {f"figures/{stem}.svg": draw(page.WIDE) for stem, draw in _figures(findings).items()}
    compared = differences(findings)
    write_json(out / "results.json", results)
    write_json(out / "differences.json", compared)
    for name, text in texts.items():
        write_text(out / name, text)
    names = ("results.json", "comparison.csv", "differences.json", "report.html")
    return {Path(name).stem: out / name for name in names}


def report_html(findings: Findings, pictures: Sequence[Picture] = ()) -> str:
    """Return the report's page: valid XML, no scripts, nothing fetched from elsewhere."""
    comparison, found = findings.comparison, findings.groups
    figures = _figures(findings)
    sections = [page.warning(warning) for warning in findings.warnings]
    if findings.are_runs:
        sections.append(_table_section(findings))
    plans = [stem for stem in figures if stem.startswith(("plan-", "budget-"))]
    if plans:
        coupled = any(stem.startswith("plan-") for stem in plans)
        sections.append(
            page.section(
                "The plan", _COUPLED if coupled else _SPENT, *_drawn(figures, plans, comparison)
            )
        )
    grown = [stem for stem in figures if stem.startswith("progression-")]
    if grown:
        words = growth_words(growing(comparison.pretrainings))
        sections.append(page.section(HEADING, words, *_drawn(figures, grown, comparison)))
    curves = [stem for stem in figures if stem.startswith("accuracy-")]
    if curves:
        sections.append(
            page.section(
                "Accuracy over training FLOPs",
                "Validation accuracy while training. The horizontal axis counts what every model "
                "of every stage has spent so far. Dotted verticals are junctions: the models of a "
                "stage are grown into the next one's, and each child is scored before its first "
                "step.",
                *_drawn(figures, curves, comparison),
                *_junction_table(comparison.pretrainings),
            )
        )
    bars = [stem for stem in figures if stem.startswith("ap-")]
    if bars:
        sections.append(
            page.section(
                "Detection and instance segmentation",
                (_DETECTION_NOTE if findings.are_runs else _PREDICTIONS_NOTE)
                + (_WHISKERS_NOTE if len(comparison.rows) > len(found) else ""),
                *_drawn(figures, bars, comparison),
                *_detection_tables(findings),
                *([] if findings.are_runs else _by_seed(findings)),
            )
        )
    if pictures:
        sections.append(
            page.section(
                "Where they differ most",
                "Test images on which two methods differ most, with what was to be found. Of each "
                "method as many detections are drawn as there are objects, those it was surest of. "
                "Chosen for their difference, these images are not typical.",
                *(page.picture(picture.png, picture.caption) for picture in pictures),
            )
        )
    notes = [_FLOPS_NOTE] if findings.are_runs else []
    return page.page(_title(found), _summary(findings), sections, notes)


def _detection_tables(findings: Findings) -> list[str]:
    parts = []
    for cells in detection_tables(findings):
        parts += [
            page.subheading(cells.title),
            page.table(cells.headings, cells.rows, cells.text_columns),
            *([page.note(cells.note)] if cells.note else []),
        ]
    return parts


def _figures(findings: Findings) -> Figures:
    """Return every figure of the report under the name of its file."""
    comparison, found = findings.comparison, findings.groups
    figures: Figures = {}
    for family in families(found):
        own = [group for group in found if group.family == family]
        colours = group_colours(own)
        series = _series(comparison, own, colours)
        for one in series:
            if one.is_recursion:
                figures[f"plan-{one.runs[0].name}"] = partial(recursion_chart, one.runs[0])
            for grown in growing(one.runs):
                figures[grown.stem] = partial(progression_chart, grown.runs[0], one.colour)
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
        **{one.stem: one.heading for one in growing(comparison.pretrainings)},
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


def _table_section(findings: Findings) -> str:
    found = findings.groups
    several = any(len(group.rows) > 1 for group in found)
    cells = [group_cells(group) for group in found]
    parts = [page.table(HEADINGS, cells, text_columns=2, cards=True)]
    parts += _by_seed(findings)
    if several:
        parts.append(page.details("Every run", _runs_table(found)))
    note = _RESULTS_NOTE + (_SPREAD_NOTE if several else "")
    return page.section("Results", note, *parts)


def _by_seed(findings: Findings) -> list[str]:
    if not findings.by_seed:
        return []
    paired = [difference_cells(difference) for difference in findings.by_seed]
    return [
        page.subheading("Differences paired by seed, in points"),
        page.table(DIFFERENCE_HEADINGS, paired, text_columns=3),
        page.note(differences_note(findings.by_seed)),
    ]


def _runs_table(found: Sequence[Group]) -> str:
    def cells(group: Group, row: Row) -> list[str]:
        values = (shown_value(row, field) for field in METRICS)
        return [
            group.label,
            row.family,
            "-" if group.seed_of(row) is None else str(group.seed_of(row)),
            shown_flops(row.train_flops),
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
                    f"{models_of(run, before)} → {models_of(run, stage)}",
                    str(number),
                    ", ".join(f"{value:.1f}" for value in coupling.parents),
                    f"{coupling.ensemble:.1f}",
                    f"{coupling.child:.1f}",
                ]
                for number, coupling in enumerate(stage.junction.children)
            ]
    if not rows:
        return []
    headings = ("run", "seed", "models", "child", "parents, top-1 %", "their ensemble",
                "child before its first step")  # fmt: skip
    return [page.details("Every junction", page.table(headings, rows, text_columns=1))]


def _title(found: Sequence[Group]) -> str:
    methods = list(dict.fromkeys(method_label(group.method) for group in found))
    return f"{' vs '.join(methods)}: {', '.join(map(family_label, families(found)))}"


def _summary(findings: Findings) -> str:
    """Say in one sentence what was compared with what, on how many seeds and which data."""
    comparison, found = findings.comparison, findings.groups
    if not findings.are_runs:
        return _predictions_summary(findings)
    parts = []
    for family in families(found):
        trained = [g for g in found if g.family == family and g.method != RANDOM]
        costs = [
            f"{group.label} ({format_flops(flops.mean)})" if flops else group.label
            for group in trained
            for flops in [group.spread("train_flops")]
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


def _predictions_summary(findings: Findings) -> str:
    annotations = findings.scored.annotations
    assert annotations is not None
    seeds = max(len(group.rows) for group in findings.groups)
    over = f", {seeds} seeds each" if seeds > 1 else ""
    return (
        f"Compared here: the predictions of {_joined([group.label for group in findings.groups])} "
        f"for the {len(annotations.image_ids)} images of {annotations.path.name}{over}."
    )


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
