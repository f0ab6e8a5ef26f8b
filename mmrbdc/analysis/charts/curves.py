"""Validation accuracy over cumulative training FLOPs: one line per method, a band over seeds."""

from collections.abc import Sequence
from statistics import fmean

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.charts.legend import Entry, legend
from mmrbdc.analysis.charts.series import Series
from mmrbdc.analysis.compare.groups import Spread
from mmrbdc.analysis.markup import element
from mmrbdc.analysis.units import flops_unit
from mmrbdc.runs.pretraining import stages_in_common

_PLOT_HEIGHT = 380.0
_RADIUS = 3.5


def curves_chart(series: Sequence[Series], width: float) -> str:
    """Draw the mean over seeds, with a band of one standard deviation; a gap at every junction.

    A stage with several members is drawn by its ensemble; one with a single validation is a dot,
    and a thin line joins the dots of a method that has no more. Runs of one series validate after
    the same FLOPs.

    Args:
        series: methods of one family.
        width: pixels.

    Returns:
        An SVG.
    """
    stages = {one.label: _stages(one) for one in series}
    points = [point for found in stages.values() for stage in found for point in stage]
    size, unit = flops_unit(max(flops for flops, _ in points))
    key, head = legend([Entry(one.label, one.colour, "line", one.dashes) for one in series], width)
    # Early validations at chance would leave no room for what methods differ in.
    curved = any(len(stage) > 1 for found in stages.values() for stage in found)
    shown = sorted(spread.mean for _, spread in points)[len(points) // 10 if curved else 0 :]
    step = svg.nice_step(max(shown[-1] - shown[0], 0.5) / 6)
    low = max(0.0, step * (shown[0] // step))
    high = min(100.0, step * (shown[-1] // step + 1))
    x = svg.Scale(0, max(flops for flops, _ in points) / size, 40, width - 10)
    y = svg.Scale(low, high, head + 42 + _PLOT_HEIGHT, head + 42)
    shapes = [key, *svg.value_grid(x, y)]
    for tick in x.ticks(8 if width > 600 else 4):
        shapes += [
            svg.line(x(tick), y.start, x(tick), y.start + 5, svg.AXIS),
            svg.text(x(tick), y.start + 19, f"{tick:g}", anchor="middle", fill=svg.MUTED),
        ]
    clip = f"curves-{width:.0f}"
    area = element(
        "rect", x=x.start, y=y.end, width=x.end - x.start + _RADIUS, height=y.start - y.end
    )
    lines = []
    for one in series:
        placed = [[(x(f / size), spread) for f, spread in stage] for stage in stages[one.label]]
        if all(len(stage) == 1 for stage in placed):
            dots = [(px, y(spread.mean)) for ((px, spread),) in placed]
            lines.append(svg.polyline(dots, one.colour, stroke_width=1, **svg.dashed(one.dashes)))
        for stage in placed:
            lines += _line(stage, y, one)
    shapes += [
        element("clipPath", area, id=clip),
        element("g", *lines, clip_path=f"url(#{clip})"),
        svg.text(0, y.end - 9, "top-1 on val, %", fill=svg.MUTED),
        svg.text((x.start + x.end) / 2, y.start + 40, f"training FLOPs spent, all models ({unit})",
                 anchor="middle", fill=svg.MUTED),
    ]  # fmt: skip
    return svg.drawing(width, y.start + 46, "Validation accuracy over training FLOPs", shapes)


def _stages(one: Series) -> list[list[tuple[float, Spread]]]:
    """For each stage the validations as (FLOPs, accuracy over seeds)."""
    found = []
    for stages in stages_in_common(one.runs):
        # Runs whose searches chose differently are of other lengths; their ends belong together.
        count = min(len(stage.curve) for stage in stages)
        curves = [stage.curve[len(stage.curve) - count :] for stage in stages]
        found.append(
            [
                (fmean(p.flops for p in points), Spread.of([p.top1 for p in points]))
                for points in zip(*curves, strict=True)
            ]
        )
    return found


def _line(points: Sequence[tuple[float, Spread]], y: svg.Scale, one: Series) -> list[str]:
    upper = [(px, y(s.mean + (s.sd or 0))) for px, s in points]
    lower = [(px, y(s.mean - (s.sd or 0))) for px, s in points]
    if len(points) == 1:
        ((px, spread),) = points
        return [
            svg.line(*upper[0], *lower[0], one.colour, stroke_width=1, stroke_opacity=0.5),
            element("circle", cx=px, cy=y(spread.mean), r=_RADIUS, fill=one.colour),
        ]
    outline = " ".join(f"{px:.2f},{py:.2f}" for px, py in [*upper, *reversed(lower)])
    return [
        element("polygon", points=outline, fill=one.colour, fill_opacity=0.12),
        svg.polyline(
            [(px, y(s.mean)) for px, s in points],
            one.colour,
            stroke_width=2,
            **svg.dashed(one.dashes),
        ),
    ]
