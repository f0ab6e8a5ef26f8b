"""A study's ranking as a table, a page and one csv."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.table import Table
from rich.text import Text

from mmrbdc.analysis.charts.bands import line_colours
from mmrbdc.analysis.charts.budgets import budgets_chart
from mmrbdc.analysis.charts.curves import curves_chart
from mmrbdc.analysis.charts.progression import progression_chart
from mmrbdc.analysis.charts.series import Series
from mmrbdc.analysis.compare.groups import PairedDifference
from mmrbdc.analysis.reports import page
from mmrbdc.analysis.reports.progressions import HEADING, Growing, growing, growth_words
from mmrbdc.analysis.reports.saving_report import savings_of, study_csv
from mmrbdc.analysis.reports.study_notes import (
    JUNCTION,
    MEANING,
    how_to_read,
    rivals,
    spent,
    warnings,
)
from mmrbdc.analysis.reports.table import format_spread, terminal_table
from mmrbdc.analysis.study.ranking import Place, Ranking
from mmrbdc.analysis.study.variants import Study
from mmrbdc.analysis.units import family_label, format_time
from mmrbdc.methods.readers import baselines, describe_methods, method_label
from mmrbdc.terminal import shown
from mmrbdc.weights import write_text

HEADINGS = ("method", "top-1 %", "minus RBDC", "p", "minus scratch", "p", "junction", "wall")
GROWING = "A method grows smaller models, trained first, into the target, which is trained on."
DASHES = ("", "8 4", "2 4", "8 3 2 3")


def ranking_table(study: Study, ranking: Ranking) -> Table:
    """Make the ranking for a terminal of 140 columns."""
    words = [rivals(ranking), JUNCTION, *warnings(ranking)]
    return terminal_table(
        f"{study.target}, top-1 on {study.split}{spent(ranking)}",
        HEADINGS,
        [[*row[:-2], Text(row[-2].replace("; ", "\n")), row[-1]] for row in _rows(ranking)],
        1,
        note="\n".join(words),
    )


def write_study_report(study: Study, ranking: Ranking, out: Path) -> list[Path]:
    """Write ``runs.csv`` (all numbers of all runs), ``ranking.md``, figures and ``study.html``.

    Args:
        study: all finished runs.
        ranking: at the common budget.
        out: folder.

    Returns:
        The paths.
    """
    series = _series(study, ranking)
    figures = {"curves": partial(curves_chart, series)} if series else {}
    if len(study.scratch) > 1:
        swept = _at_several_budgets(study)
        figures["budgets"] = partial(budgets_chart, swept, savings_of(swept))
    written = {
        "runs.csv": study_csv(study),
        "ranking.md": _markdown(study, ranking),
        "study.html": _html(study, ranking, figures),
        **{f"{name}.svg": draw(page.WIDE) for name, draw in figures.items()},
        **{
            f"{one.stem}.svg": progression_chart(one.runs[0], colour, page.WIDE)
            for one, colour in _searching(study, ranking)
        },
    }
    for name, content in written.items():
        write_text(out / name, content)
    return [out / name for name in written]


def _at_several_budgets(study: Study) -> Study:
    counts = Counter(variant.name for variant in study.variants)
    several = tuple(variant for variant in study.variants if counts[variant.name] > 1)
    return replace(study, variants=several)


def _series(study: Study, ranking: Ranking) -> list[Series]:
    """Lines of the chart; where the palette has come to its end colours return, dashed."""
    colours = line_colours(study)
    uses: Counter[str] = Counter()
    series = []
    for variant in (place.variant for place in ranking.places):
        colour = colours[variant.label]
        dashes = DASHES[uses[colour] % len(DASHES)]
        series.append(Series(variant.label, colour, variant.runs, dashes))
        uses[colour] += 1
    return series


def _searching(study: Study, ranking: Ranking) -> list[tuple[Growing, str]]:
    """What rows that search have found, each with its colour."""
    return [
        (one, series.colour)
        for series in _series(study, ranking)
        if series.runs[0].searches
        for one in growing(series.runs)
    ]


def _rows(ranking: Ranking) -> list[list[str]]:
    """One row per method; those of which nothing is finished come last and say so."""
    empty = ["-"] * (len(HEADINGS) - 2)
    holes = [[label, "no finished run", *empty] for label in ranking.holes]
    return [*(_cells(place) for place in ranking.places), *holes]


def _cells(place: Place) -> list[str]:
    variant = place.variant
    top1, runs = format_spread(variant.top1), len(variant.runs)
    if runs < place.planned:
        top1 = f"{top1.partition(' (')[0]} ({runs} of {place.planned})"
    cells = [variant.label, top1]
    for method in baselines():
        found = place.differences.get(method)
        cells += [_difference(found), f"{found.p_value:.3g}"] if found else ["-", "-"]
    junctions = "; ".join(f"{e:.1f} → {c:.1f}" for e, c in place.junction)
    return [*cells, junctions or "-", format_time(place.wall_s)]


def _difference(found: PairedDifference) -> str:
    low, high = found.interval
    return f"{found.spread.mean:+.1f} ({low:+.1f} to {high:+.1f})"


def _markdown(study: Study, ranking: Ranking) -> str:
    lines = [f"# {_marked(_title(study))}", ""]
    lines += ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    lines += ["| " + " | ".join(map(_marked, row)) + " |" for row in _rows(ranking)]
    notes = [f"Careful: {line}." for line in warnings(ranking)]
    lines += ["", "## How to read it", "", f"Training FLOPs{spent(ranking)}.", ""]
    lines += [f"- {_marked(note)}" for note in (*notes, *how_to_read(study, ranking), MEANING)]
    lines += ["", "## Methods", "", GROWING, ""]
    lines += [f"- {_marked(name)}: {_marked(about)}." for name, about in _methods(ranking)]
    return "\n".join(lines) + "\n"


def _marked(text: str) -> str:
    """Text in Markdown, whose own characters are told from it."""
    return re.sub(r"([\\`*\[\]<>|$&])", r"\\\1", shown(text))


def _html(study: Study, ranking: Ranking, figures: Mapping) -> str:
    words = {
        "curves": ("On the way", "Validation accuracy over the FLOPs spent until then, every model "
                   "of every stage counted: mean over seeds, the band is one standard deviation. A "
                   "stage of several models is drawn by their ensemble."),
        "budgets": ("Other budgets", "Final accuracy at several budgets, and what scratch would "
                    "spend for the same accuracy."),
    }  # fmt: skip
    explanation = (
        f"Every method trained {family_label(study.family)} ({study.target}){spent(ranking)}, on "
        "the same data, with the same schedule and seeds, and is scored by the same images."
    )
    content = [page.table(HEADINGS, _rows(ranking), 1)]
    content += [page.warning(line) for line in warnings(ranking)]
    sections = [page.section("Ranking", explanation, *content)]
    reading = [page.note(line) for line in how_to_read(study, ranking)]
    sections.append(page.section("How to read it", MEANING, *reading))
    if known := _methods(ranking):
        sections.append(
            page.section("Methods", GROWING, page.table(("method", "what it does"), known, 2))
        )
    for name, draw in figures.items():
        drawing = page.figure(draw(page.WIDE), draw(page.NARROW))
        sections.append(page.section(*words[name], drawing))
    if found := _searching(study, ranking):
        content = []
        for one, colour in found:
            draw = partial(progression_chart, one.runs[0], colour)
            drawing = page.figure(draw(page.WIDE), draw(page.NARROW))
            content += [page.subheading(one.heading), drawing]
        told = growth_words([one for one, _ in found])
        sections.append(page.section(HEADING, told, *content))
    best = ranking.places[0].variant.label if ranking.places else "nothing"
    compared = ", ".join(name for name, _ in known)
    subtitle = f"Highest mean accuracy here: {best}{_doubt(ranking)}. Compared: {compared}."
    return page.page(_title(study), subtitle, sections, [])


def _doubt(ranking: Ranking) -> str:
    found = [d.p_value for place in ranking.places for d in place.differences.values()]
    return ", though no difference is significant at 5 %" if found and min(found) >= 0.05 else ""


def _title(study: Study) -> str:
    return f"Growth methods at equal FLOPs: {study.target}"


def _methods(ranking: Ranking) -> list[tuple[str, str]]:
    names = dict.fromkeys(place.variant.method for place in ranking.places)
    return [(method_label(name), about) for name, about in describe_methods(names)]
