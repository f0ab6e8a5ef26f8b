"""Bars: what each method scored in detection."""

import math
from collections.abc import Mapping, Sequence

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.charts.legend import Entry, legend
from mmrbdc.analysis.compare.groups import METRICS, Group, shown_value
from mmrbdc.analysis.markup import element

AP_METRICS = ("bbox_mAP", "segm_mAP")


def ap_chart(found: Sequence[Group], colours: Mapping[str, str], width: float) -> str:
    """Draw box and mask AP of every group, with the standard deviation and each seed as a dot.

    Args:
        found: groups of one family, each with APs.
        colours: label -> colour.
        width: pixels; the chart is never wider than 760.

    Returns:
        An SVG.
    """
    width = min(width, 760.0)
    bars = [(field, group, group.spread(field)) for field in AP_METRICS for group in found]
    top = max(
        (spread.mean + (spread.sd or 0.0) for _, _, spread in bars if spread is not None),
        default=0.0,
    )
    top = max(top, 1.0)
    key, key_height = legend([Entry(group.label, colours[group.label]) for group in found], width)
    left, right, head, plot_height = 40.0, width - 8, key_height + 30, 230.0
    step = svg.nice_step(top * 1.1 / 5)
    y = svg.Scale(0, step * math.ceil(top * 1.1 / step), head + plot_height, head)
    shapes = [key]
    for tick in y.ticks(5):
        shapes += [
            svg.line(left, y(tick), right, y(tick), svg.GRID if tick else svg.AXIS),
            svg.text(left - 7, y(tick) + 4, f"{tick:g}", anchor="end", fill=svg.MUTED),
        ]
    shapes.append(svg.text(0, head - 15, "AP (times 100)", fill=svg.MUTED))
    band = (right - left) / len(AP_METRICS)
    slot = min(band * 0.86 / len(found), 96.0)
    for i, field in enumerate(AP_METRICS):
        middle = left + (i + 0.5) * band
        shapes.append(
            svg.text(middle, y(0) + 22, METRICS[field], size=14, anchor="middle", weight="bold")
        )
        for j, group in enumerate(found):
            x = middle + (j - (len(found) - 1) / 2) * slot
            shapes += _bar(group, field, x, slot * 0.72, y, colours[group.label])
    described = ", ".join(f"{group.label}" for group in found)
    return svg.drawing(width, head + plot_height + 34, f"Box and mask AP of {described}", shapes)


def _bar(group: Group, field: str, x: float, width: float, y: svg.Scale, colour: str) -> list[str]:
    spread = group.spread(field)
    if spread is None:
        return [svg.text(x, y(0) - 6, "-", anchor="middle", fill=svg.MUTED)]
    height = y(0) - y(spread.mean)
    shapes = [
        element(
            "rect",
            x=x - width / 2,
            y=y(spread.mean),
            width=width,
            height=height,
            fill=colour,
            fill_opacity=0.85,
        )
    ]
    values = [value for row in group.rows if (value := shown_value(row, field)) is not None]
    ceiling = y(max([spread.mean + (spread.sd or 0.0), *values]))
    if spread.sd is not None:
        low, high = y(spread.mean - spread.sd), y(spread.mean + spread.sd)
        cap = min(width / 4, 8)
        shapes += [
            svg.line(x, low, x, high, svg.INK, stroke_width=1.5),
            svg.line(x - cap, low, x + cap, low, svg.INK, stroke_width=1.5),
            svg.line(x - cap, high, x + cap, high, svg.INK, stroke_width=1.5),
        ]
        shapes += [
            element(
                "circle",
                cx=x + width * 0.3,
                cy=y(value),
                r=2.6,
                fill=svg.PAPER,
                stroke=svg.INK,
                stroke_width=1,
            )
            for value in values
        ]
    shapes.append(
        svg.text(
            x, min(ceiling, y(spread.mean)) - 7, f"{spread.mean:.1f}", size=13, anchor="middle"
        )
    )
    return shapes
