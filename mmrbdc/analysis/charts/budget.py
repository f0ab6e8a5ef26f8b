"""Where the training FLOPs went: one bar per protocol, cut where its stages end."""

from collections.abc import Sequence

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.charts.series import Series, models_of
from mmrbdc.analysis.markup import element
from mmrbdc.analysis.units import format_flops
from mmrbdc.methods.readers import is_from_scratch
from mmrbdc.runs.pretraining import PretrainingRun

_ROW = 58.0
_LINE = 17.0
_BAR = 24.0


def budget_chart(series: Sequence[Series], width: float) -> str:
    """Draw one bar per protocol of a family, as long as the training FLOPs of its first run.

    Args:
        series: protocols.
        width: pixels.

    Returns:
        An SVG.
    """
    runs = [one.runs[0] for one in series]
    scale = svg.Scale(0, max(run.train_flops for run in runs), 0.5, width - 0.5)
    scratch = [run for run in runs if is_from_scratch(run.method)]
    shapes: list[str] = []
    described: list[str] = []
    top = 0.0
    for one, run in zip(series, runs, strict=True):
        cost = format_flops(run.train_flops)
        if len(scratch) == 1 and not is_from_scratch(run.method):
            cost += f", {run.train_flops / scratch[0].train_flops:.1%} of scratch"
        name_width = svg.text_width(one.label, 13, "bold") + 8
        beside = name_width + svg.text_width(cost, 13) <= width
        x, y = (name_width, top) if beside else (0.0, top + _LINE)
        shapes += [
            svg.text(0, top + 15, one.label, size=13, weight="bold"),
            svg.text(x, y + 15, cost, size=13),
            *_bar(run, scale, y + 23, one.colour),
        ]
        described.append(f"{one.label} {cost}")
        top = y + _ROW
    return svg.drawing(width, top, f"Training FLOPs: {'; '.join(described)}", shapes)


def _bar(run: PretrainingRun, scale: svg.Scale, y: float, colour: str) -> list[str]:
    shapes: list[str] = []
    spent = 0.0
    for index, stage in enumerate(run.stages):
        left, right = scale(spent), scale(spent + stage.flops)
        spent += stage.flops
        strength = 1 - 0.62 * index / max(len(run.stages) - 1, 1)
        shapes.append(
            element(
                "rect",
                x=left,
                y=y,
                width=right - left,
                height=_BAR,
                fill=colour,
                fill_opacity=strength,
                stroke=svg.PAPER,
            )
        )
        models = models_of(run, stage)
        labels = [models] if len(run.stages) == 1 else [f"stage {index}: {models}", models]
        fitting = [label for label in labels if svg.text_width(label) + 8 <= right - left]
        if fitting:
            fill = svg.PAPER if strength > 0.6 else svg.INK
            middle = (left + right) / 2
            shapes.append(svg.text(middle, y + 16, fitting[0], anchor="middle", fill=fill))
    return shapes
