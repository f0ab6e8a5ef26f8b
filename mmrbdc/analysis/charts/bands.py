"""Mean lines with a band over seeds, and the frame that they are drawn in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.charts.legend import symbol
from mmrbdc.analysis.charts.palette import group_colours
from mmrbdc.analysis.compare.groups import Group
from mmrbdc.analysis.markup import element
from mmrbdc.analysis.study.variants import Study, Variant

PLOT_HEIGHT = 340.0
LEFT = 40.0
BELOW = 62.0
"""Pixels for ticks and title below the plot."""


@dataclass(frozen=True)
class Frame:
    """A plot's place: ``x`` maps the logarithm of what it shows, ``y`` accuracy in percent."""

    x: svg.Scale
    y: svg.Scale

    def at(self, value: float, top1: float) -> tuple[float, float]:
        """Return the pixels of ``value``, not its logarithm, and an accuracy."""
        return self.x(math.log(value)), self.y(top1)


def make_frame(
    values: Sequence[float], variants: Sequence[Variant], head: float, width: float
) -> Frame:
    """Return the frame that shows ``values`` (above zero) and every run of ``variants``."""
    low, high = math.log(min(values)), math.log(max(values))
    room = 0.06 * (high - low) or 0.5
    scores = [run.top1 for variant in variants for run in variant.runs]
    scores += [
        variant.top1.mean + s * (variant.top1.sd or 0) for variant in variants for s in (-1, 1)
    ]
    step = svg.nice_step(max(max(scores) - min(scores), 0.5) / 6)
    bottom = max(0.0, step * math.floor((min(scores) - 0.2 * step) / step))
    top = min(100.0, step * math.ceil((max(scores) + 0.2 * step) / step))
    return Frame(
        svg.Scale(low - room, high + room, LEFT, width - 10),
        svg.Scale(bottom, top, head + PLOT_HEIGHT, head),
    )


def axes(frame: Frame, ticks: Sequence[tuple[float, Sequence[str]]], title: str, split: str
         ) -> list[str]:  # fmt: skip
    """Draw grid, ticks and titles.

    Args:
        frame: of the plot.
        ticks: places and the lines of words below them; one too near to its left neighbour's is
            left out.
        title: of the horizontal axis.
        split: that accuracies were measured on.
    """
    x, y = frame.x, frame.y
    shapes = svg.value_grid(x, y)
    taken = -math.inf
    for value, words in ticks:
        place, half = x(math.log(value)), max(map(svg.text_width, words)) / 2
        if place - half < taken + 8:
            continue
        taken = place + half
        shapes.append(svg.line(place, y.start, place, y.start + 5, svg.AXIS))
        shapes += [
            svg.text(place, y.start + 19 + 15 * i, word, anchor="middle", fill=svg.MUTED)
            for i, word in enumerate(words)
        ]
    lines = max((len(words) for _, words in ticks), default=1)
    shapes += [
        svg.text(0, y.end - 9, f"final top-1 on {split}, %", fill=svg.MUTED),
        svg.text((x.start + x.end) / 2, y.start + 25 + 15 * lines, title, anchor="middle",
                 fill=svg.MUTED),
    ]  # fmt: skip
    return shapes


def band(frame: Frame, values: Sequence[float], variants: Sequence[Variant], colour: str,
         ) -> list[str]:  # fmt: skip
    """Draw variants at ``values``: every run a dot, the mean a line, +- one sd over seeds a band.

    A variant alone has a diamond and an error bar.
    """
    tops = [variant.top1 for variant in variants]
    dots = [
        element("circle", cx=px, cy=py, r=2.4, fill=colour, fill_opacity=0.45)
        for value, variant in zip(values, variants, strict=True)
        for px, py in [frame.at(value, run.top1) for run in variant.runs]
    ]
    means = [frame.at(v, top.mean) for v, top in zip(values, tops, strict=True)]
    upper = [frame.at(v, top.mean + (top.sd or 0)) for v, top in zip(values, tops, strict=True)]
    lower = [frame.at(v, top.mean - (top.sd or 0)) for v, top in zip(values, tops, strict=True)]
    marks = [symbol("diamond", *place, colour) for place in means]
    if len(variants) == 1:
        return [svg.line(*upper[0], *lower[0], colour, stroke_width=1.6), *dots, *marks]
    outline = " ".join(f"{px:.2f},{py:.2f}" for px, py in [*upper, *reversed(lower)])
    return [
        element("polygon", points=outline, fill=colour, fill_opacity=0.14),
        svg.polyline(means, colour, stroke_width=2.4),
        *dots,
        *marks,
    ]


def line_colours(study: Study) -> dict[str, str]:
    """Return label -> colour for every method and number of steps."""
    kinds = dict.fromkeys((variant.method, variant.label) for variant in study.variants)
    return group_colours([Group(method, study.family, label, ()) for method, label in kinds])
