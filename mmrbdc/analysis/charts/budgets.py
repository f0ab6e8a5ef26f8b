"""Final accuracy over training FLOPs, one line per method: the paper's second figure."""

import math
from collections.abc import Mapping, Sequence

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.charts.bands import BELOW, axes, band, line_colours, make_frame
from mmrbdc.analysis.charts.legend import Entry, legend
from mmrbdc.analysis.study.saving import Saving
from mmrbdc.analysis.study.variants import Study, Variant, same_ratio
from mmrbdc.analysis.units import flops_unit
from mmrbdc.plan import DEFAULT_RATIO

_NOTE = 16.0


def budgets_chart(study: Study, savings: Mapping[Variant, Saving], width: float) -> str:
    """Draw every method's budgets, and for each what scratch spends for the same accuracy.

    A method that was run at several ratios is drawn at one: the one with the most budgets, or else
    the nearest to the default; never the one that scored best.

    Args:
        study: what to draw.
        savings: of its variants.
        width: pixels.

    Returns:
        An SVG.
    """
    colours = line_colours(study)
    lines = {label: at_one_ratio(study, label) for label in colours}
    entries = [Entry(_name(label, line), colours[label], "line") for label, line in lines.items()]
    key, head = legend(entries, width)
    notes = [
        (label, words)
        for label, line in lines.items()
        for variant in line
        if variant in savings
        for words in _wrapped(_note(study, variant, savings[variant]), width)
    ]
    shapes = [key]
    for i, (label, words) in enumerate(notes):
        shapes.append(svg.text(0, head + 16 + i * _NOTE, words, fill=colours[label]))
    drawn = [variant for line in lines.values() for variant in line]
    frame = make_frame(
        [variant.flops for variant in drawn], drawn, head + 42 + len(notes) * _NOTE, width
    )
    size, unit = flops_unit(max(variant.flops for variant in drawn))
    budgets = sorted({variant.flops for variant in study.scratch})
    ticks = [
        (flops, (f"{flops / size:.3g}", f"{flops / study.reference_flops:.0%}"))
        for flops in budgets
    ]
    title = f"training FLOPs, every model counted ({unit}, % of the reference)"
    if svg.text_width(title) > width:
        title = f"training FLOPs ({unit}, % of reference)"
    shapes += axes(frame, ticks, title, study.split)
    for label, line in lines.items():
        for variant in line:
            found = savings.get(variant)
            if found and found.scratch_flops:
                ends = [frame.at(f, found.accuracy) for f in (found.flops, found.scratch_flops)]
                shapes.append(
                    svg.polyline(ends, colours[label], stroke_width=1.2, stroke_dasharray="4 4")
                )
        shapes += band(frame, [variant.flops for variant in line], line, colours[label])
    described = f"Final top-1 accuracy over training FLOPs: {', '.join(lines)}"
    return svg.drawing(width, frame.y.start + BELOW, described, shapes)


def at_one_ratio(study: Study, label: str) -> list[Variant]:
    """Return a method's variants that share one ratio, by rising FLOPs; all of scratch's."""
    own = [variant for variant in study.variants if variant.label == label]

    def alike(ratio: float) -> list[Variant]:
        return [v for v in own if v.ratio is not None and same_ratio(v.ratio, ratio)]

    ratios = [variant.ratio for variant in own if variant.ratio is not None]
    if not ratios:
        return own
    best = max(ratios, key=lambda r: (len(alike(r)), -abs(math.log(r / DEFAULT_RATIO))))
    return alike(best)


def _name(label: str, line: Sequence[Variant]) -> str:
    ratio = line[0].ratio
    return label if ratio is None else f"{label} (narrow : wide epochs {ratio:.2g})"


def _note(study: Study, variant: Variant, found: Saving) -> str:
    size, unit = flops_unit(variant.flops)
    words = f"{variant.label}, {variant.flops / size:.3g} {unit}: saves {found.shown(found.value)}"
    return words + (f" (95 %: {found.shown_interval})" if found.low is not None else "")


def _wrapped(words: str, width: float) -> list[str]:
    if svg.text_width(words) <= width or ": " not in words:
        return [words]
    head, _, rest = words.partition(": ")
    return [f"{head}:", f"    {rest}"]
