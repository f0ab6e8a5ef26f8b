"""A study's ranking as a table, a page and one csv."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.table import Table

from mmrbdc.analysis import page
from mmrbdc.analysis.charts.bands import line_colours
from mmrbdc.analysis.charts.budgets import budgets_chart
from mmrbdc.analysis.charts.curves import curves_chart
from mmrbdc.analysis.charts.series import Series
from mmrbdc.analysis.saving_report import savings_of, study_csv
from mmrbdc.analysis.statistics import PairedDifference
from mmrbdc.analysis.study import Study
from mmrbdc.analysis.table import format_spread, terminal_table
from mmrbdc.analysis.units import family_label, format_flops, format_time, method_label
from mmrbdc.weights import write_text

from .methods import describe_methods
from .ranking import AGAINST, Place

HEADINGS = ("method", "top-1 %", "minus RBDC", "p", "minus scratch", "p", "junction", "wall")
MEANING = (
    "A method wins here if its difference to the others is larger than what seeds alone do: look "
    "at the intervals and p, not at the order of the means."
)
P_FLOOR = "With n seeds the sign-flip test cannot give a p below 2 / 2^n."
JUNCTION_NOTE = (
    "junction: what the parents' ensemble scores, and what the child scores before its first step."
)

DASHES = ("", "8 4", "2 4", "8 3 2 3")
DEAR = 0.05
"""Share of a budget that an operator's own passes may take without being told."""


def ranking_table(study: Study, places: Sequence[Place]) -> Table:
    """Make the ranking for a terminal of 140 columns."""
    notes = [f"{_rivals(places)}; p: sign-flip test over seeds.", JUNCTION_NOTE]
    notes += _remarks(places)
    return terminal_table(
        f"{study.target}, top-1 on {study.split}{_spent(places)}",
        HEADINGS,
        [[cell.replace("; ", "\n") for cell in _cells(place)] for place in places],
        1,
        note="\n".join(notes),
    )


def write_study_report(
    study: Study, places: Sequence[Place], missing: Sequence[str], out: Path
) -> list[Path]:
    """Write ``runs.csv`` (all numbers of all runs), ``ranking.md``, figures and ``study.html``.

    Args:
        study: all finished runs.
        places: the ranking at the common budget.
        missing: names of runs that are not finished, for the page.
        out: folder.

    Returns:
        The paths.
    """
    series = _series(study, places)
    figures = {"curves": partial(curves_chart, series)} if series else {}
    if len(study.scratch) > 1:
        figures["budgets"] = partial(budgets_chart, study, savings_of(study))
    written = {
        "runs.csv": study_csv(study),
        "ranking.md": _markdown(places, missing),
        "study.html": _html(study, places, missing, figures),
        **{f"{name}.svg": draw(page.WIDE) for name, draw in figures.items()},
    }
    for name, content in written.items():
        write_text(out / name, content)
    return [out / name for name in written]


def _series(study: Study, places: Sequence[Place]) -> list[Series]:
    """Lines of the chart; where the palette has come to its end colours return, dashed."""
    colours = line_colours(study)
    uses: Counter[str] = Counter()
    series = []
    for variant in (place.variant for place in places):
        colour = colours[variant.label]
        dashes = DASHES[uses[colour] % len(DASHES)]
        series.append(Series(variant.label, colour, variant.runs, dashes))
        uses[colour] += 1
    return series


def _cells(place: Place) -> list[str]:
    variant = place.variant
    cells = [variant.label, format_spread(variant.top1)]
    for method in AGAINST:
        found = place.differences.get(method)
        cells += [_difference(found), f"{found.p_value:.2g}"] if found else ["-", "-"]
    junctions = "; ".join(f"{e:.1f} → {c:.1f}" for e, c in place.junction)
    return [*cells, junctions or "-", format_time(place.wall_s)]


def _spent(places: Sequence[Place]) -> str:
    """The FLOPs of all rows, for a title."""
    low, high = (f([p.variant.flops for p in places], default=0) for f in (min, max))
    return f", {format_flops(low)} to {format_flops(high)} each" if places else ""


def _remarks(places: Sequence[Place]) -> list[str]:
    """What the rows of a ranking do not say: off budget, missing seeds, a dear operator."""
    lines = [
        f"{place.variant.label} spent {1 + place.off:.1%} of the budget: too few iterations to "
        "come nearer"
        for place in places
        if not place.on_budget
    ]
    seeds = max((len(place.variant.runs) for place in places), default=0)
    fewer = [p.variant for p in places if len(p.variant.runs) < seeds]
    if fewer:
        named = "; ".join(f"{v.label}: {len(v.runs)} of {seeds}" for v in fewer)
        lines.append(f"not all seeds are there, so means do not compare everywhere: {named}")
    lines += [
        f"{place.variant.label} spent {place.growing:.0%} of its FLOPs on the images that its "
        "operator passes through the network, a fixed number, which weighs less in longer trainings"
        for place in places
        if place.growing > DEAR
    ]
    return lines


def _rivals(places: Sequence[Place]) -> str:
    """Which variants the differences are to."""
    found = {m: d.second for place in places for m, d in place.differences.items()}
    named = " and ".join(found[method] for method in AGAINST if method in found)
    return f"Differences are to {named}" if named else "There is nothing to compare with"


def _multiplicity(places: Sequence[Place]) -> str:
    count = sum(len(place.differences) for place in places)
    return (
        f"{count} comparisons stand here and no p is adjusted for their number; by Holm's rule "
        f"the smallest would have to be below {0.05 / max(count, 1):.2g}. All methods have the "
        "ratio of stage lengths that the study's config says, by default the one that RBDC's paper "
        "found best for RBDC."
    )


def _difference(found: PairedDifference) -> str:
    low, high = found.interval
    return f"{found.spread.mean:+.1f} ({low:+.1f} to {high:+.1f})"


def _markdown(places: Sequence[Place], missing: Sequence[str]) -> str:
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    lines += ["| " + " | ".join(_cells(place)) + " |" for place in places]
    notes = [f"Parents and one-off costs included{_spent(places)}.", JUNCTION_NOTE]
    notes.append(f"{_rivals(places)}, paired by seed, with 95 % t-interval.")
    notes += [*_remarks(places), P_FLOOR, _multiplicity(places)]
    notes += [f"not finished and left out: {', '.join(missing)}"] if missing else []
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def _html(study: Study, places: Sequence[Place], missing: Sequence[str], figures: Mapping) -> str:
    best = places[0].variant.label if places else "nothing"
    budget = f"{places[0].variant.share:.0%}" if places else "no"
    words = {
        "curves": ("On the way", "Validation accuracy over the FLOPs spent until then, every model "
                   "of every stage counted: mean over seeds, the band is one standard deviation. A "
                   "stage of several models is drawn by their ensemble."),
        "budgets": ("Other budgets", "Final accuracy at several budgets, and what scratch would "
                    "spend for the same accuracy."),
    }  # fmt: skip
    explanation = (
        f"Every method trained {family_label(study.family)} ({study.target}) with the same FLOPs, "
        f"about {budget} of the reference ({format_flops(study.reference_flops)})"
        f"{_spent(places)}, parents and one-off costs included; data, schedule and seeds are the "
        f"same. {_rivals(places)}, paired by seed, with their 95 % t-interval. "
        f"{JUNCTION_NOTE[0].upper()}{JUNCTION_NOTE[1:]}"
    )
    content = [page.table(HEADINGS, [_cells(place) for place in places], 1)]
    content += [page.warning(line) for line in _remarks(places)]
    if missing:
        content.append(page.warning(f"not finished and left out: {', '.join(missing)}"))
    sections = [page.section("Ranking", explanation, *content)]
    if known := describe_methods([place.variant.method for place in places]):
        rows = [(method_label(name), about) for name, about in known]
        what = "A method grows narrow models, trained first, into the target, which is trained on."
        sections.append(
            page.section("Methods", what, page.table(("method", "what it does"), rows, 2))
        )
    for name, draw in figures.items():
        drawing = page.figure(draw(page.WIDE), draw(page.NARROW))
        sections.append(page.section(*words[name], drawing))
    methods = ", ".join(dict.fromkeys(method_label(p.variant.method) for p in places))
    return page.page(
        f"Growth methods at equal FLOPs: {study.target}",
        f"Highest mean accuracy here: {best}. Compared: {methods}.",
        sections,
        [P_FLOOR, _multiplicity(places), MEANING],
    )
