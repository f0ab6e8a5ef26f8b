"""Bars: what each method scored in detection, and where each one's FLOPs went."""

from collections.abc import Mapping, Sequence

from ..pretraining import PretrainingRun
from ..statistics import METRICS, Group, shown_value
from ..units import flops_unit, format_flops
from . import svg
from .legend import Entry, legend

AP_METRICS = ("bbox_mAP", "segm_mAP")


def ap_chart(found: Sequence[Group], colours: Mapping[str, str], width: float) -> str:
    """Draw box and mask AP of every group, with the standard deviation and each seed as a dot.

    Args:
        found: groups of one family, each with APs.
        colours: label -> colour.
        width: pixels.

    Returns:
        An SVG.
    """
    bars = [(field, group, group.spread(field)) for field in AP_METRICS for group in found]
    top = max(
        (spread.mean + (spread.sd or 0.0) for _, _, spread in bars if spread is not None),
        default=0.0,
    )
    key, key_height = legend([Entry(group.label, colours[group.label]) for group in found], width)
    left, right, head, plot_height = 40.0, width - 8, key_height + 24, 230.0
    step = svg.nice_step(max(top, 1e-3) * 1.08 / 5)
    y = svg.Scale(0, step * 5, head + plot_height, head)
    shapes = [key]
    for tick in y.ticks(5):
        shapes += [
            svg.line(left, y(tick), right, y(tick), svg.GRID if tick else svg.AXIS),
            svg.text(left - 7, y(tick) + 4, f"{tick:g}", anchor="end", fill=svg.MUTED),
        ]
    shapes.append(svg.text(0, head - 10, "AP (times 100)", fill=svg.MUTED))
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
        svg.element(
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
            svg.element(
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


def budget_chart(
    runs: Sequence[tuple[str, PretrainingRun]], colours: Mapping[str, str], width: float
) -> str:
    """Draw one bar per run, as long as its training FLOPs and cut where its stages end.

    Args:
        runs: label of the group and one run of it.
        colours: label -> colour.
        width: pixels.

    Returns:
        An SVG.
    """
    most = max(run.train_flops for _, run in runs)
    size, unit = flops_unit(most)
    scale = svg.Scale(0, most, 0.5, width - 0.5)
    shapes: list[str] = []
    row_height, bar_height = 58.0, 24.0
    for i, (label, run) in enumerate(runs):
        top = i * row_height
        shapes.append(
            svg.element(
                "text",
                svg.element("tspan", svg.escape(label), font_weight="bold"),
                svg.escape(f"  {format_flops(run.train_flops)}"),
                x=0,
                y=top + 15,
                font_size=13,
                fill=svg.INK,
            )
        )
        start = 0.0
        for index, stage in enumerate(run.stages):
            end = start + stage.flops
            shapes += _segment(
                scale(start), scale(end), top + 23, bar_height, colours[label],
                1 - 0.62 * index / max(len(run.stages) - 1, 1) if len(run.stages) > 1 else 1,
                f"stage {index}: {stage.members} × {stage.width}"
            )  # fmt: skip
            start = end
    described = ", ".join(f"{label} {run.train_flops / size:.3g} {unit}" for label, run in runs)
    return svg.drawing(width, row_height * len(runs), f"Training FLOPs: {described}", shapes)


def _segment(
    x1: float, x2: float, y: float, height: float, colour: str, strength: float, label: str
) -> list[str]:
    shapes = [
        svg.element(
            "rect",
            x=x1,
            y=y,
            width=max(x2 - x1, 0.5),
            height=height,
            fill=colour,
            fill_opacity=strength,
            stroke=svg.PAPER,
        )
    ]
    for content in (label, label.partition(": ")[2]):
        if svg.text_width(content, 12) + 8 <= x2 - x1:
            fill = svg.PAPER if strength > 0.6 else svg.INK
            shapes.append(svg.text((x1 + x2) / 2, y + 16, content, anchor="middle", fill=fill))
            break
    return shapes
