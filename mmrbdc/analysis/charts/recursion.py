"""The plan as a picture: narrow models that become the diagonal blocks of wider ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.markup import element
from mmrbdc.analysis.units import format_epochs, format_flops
from mmrbdc.runs.pretraining import PretrainingRun, StageRun

_LEAVES = ("#0b4f8a", "#3583c4", "#0d7f72", "#4fb3a1", "#5a4aa0", "#9586cf", "#8a5a12", "#c9994a")
_TRAINED = "#d5e3ef"
_ZERO = "#ffffff"
_LABEL_WIDTH = 84.0
_LINE = 17.0
_GAP = 10.0


@dataclass(frozen=True)
class _Box:
    """One model: its stage, its number in it, and where its square is drawn."""

    stage: int
    member: int
    x: float
    y: float
    side: float


def recursion_chart(run: PretrainingRun, width: float) -> str:
    """Draw the stages of ``run`` from left to right, every model as its square weight matrix.

    A model's side is proportional to its width. A child shows its parents as coloured blocks on its
    diagonal; what is white was zero when it was coupled, what is tinted was trained since.

    Args:
        run: a run with two or more stages, the sum of whose members' widths stays the same.
        width: pixels to fill; more are taken where the labels need them.

    Returns:
        An SVG.
    """
    stages = run.stages
    side = _largest_side(stages, width)
    columns = [max(side * stage.width / stages[-1].width, _LABEL_WIDTH) for stage in stages]
    between = min(max((width - sum(columns)) / (len(stages) - 1), 24.0), 130.0)
    total = max(width, sum(columns) + between * (len(stages) - 1))
    left = (total - sum(columns) - between * (len(stages) - 1)) / 2
    height = side + (stages[0].members - 1) * _GAP
    shapes: list[str] = []
    boxes: list[list[_Box]] = []
    for i, stage in enumerate(stages):
        middle = left + sum(columns[:i]) + i * between + columns[i] / 2
        boxes.append(_stage_boxes(i, stage, boxes, middle, side * stage.width / stages[-1].width))
        shapes += _labels(run, i, middle, height + 26)
    bands = [
        _band(parent, child, slot, _leaf_colour(stages, parent))
        for i in range(1, len(stages))
        for child in boxes[i]
        for slot, parent in enumerate(_parents(boxes, child))
    ]
    models = [_model(box, boxes, stages) for column in boxes for box in column]
    # One pixel on every side, so that no outline is cut.
    picture = element("g", *bands, *models, *shapes, transform="translate(1 1)")
    return svg.drawing(total + 2, height + 28 + 5 * _LINE, _description(run), [picture])


def _largest_side(stages: Sequence[StageRun], width: float) -> float:
    """Return the largest side of the last model, 60 to 220 pixels, with which all fits."""
    for side in range(220, 60, -4):
        columns = sum(max(side * s.width / stages[-1].width, _LABEL_WIDTH) for s in stages)
        if columns + 24 * (len(stages) - 1) <= width:
            return float(side)
    return 60.0


def _stage_boxes(
    index: int, stage: StageRun, before: list[list[_Box]], middle: float, side: float
) -> list[_Box]:
    x = middle - side / 2
    if not before:
        return [_Box(0, m, x, m * (side + _GAP), side) for m in range(stage.members)]
    per_child = len(before[-1]) // stage.members
    found = []
    for member in range(stage.members):
        parents = before[-1][member * per_child : (member + 1) * per_child]
        centre = sum(p.y + p.side / 2 for p in parents) / len(parents)
        found.append(_Box(index, member, x, centre - side / 2, side))
    return found


def _parents(boxes: Sequence[Sequence[_Box]], child: _Box) -> Sequence[_Box]:
    per_child = len(boxes[child.stage - 1]) // len(boxes[child.stage])
    return boxes[child.stage - 1][child.member * per_child : (child.member + 1) * per_child]


def _leaf_colour(stages: Sequence[StageRun], box: _Box) -> str:
    """Return the colour of the first stage-0 model inside ``box``."""
    per_box = stages[0].members // stages[box.stage].members
    return _LEAVES[box.member * per_box % len(_LEAVES)]


def _model(box: _Box, boxes: Sequence[Sequence[_Box]], stages: Sequence[StageRun]) -> str:
    outline = element(
        "rect", x=box.x, y=box.y, width=box.side, height=box.side, fill="none", stroke=svg.INK
    )
    return element("g", *_blocks(box, boxes, stages, _ZERO), outline)


def _blocks(
    box: _Box, boxes: Sequence[Sequence[_Box]], stages: Sequence[StageRun], off_diagonal: str
) -> list[str]:
    """Draw ``box`` with its parents inside, recursively, and zeros in its own new blocks."""
    square = {"x": box.x, "y": box.y, "width": box.side, "height": box.side}
    if box.stage == 0:
        return [element("rect", fill=_leaf_colour(stages, box), **square)]
    shapes = [element("rect", fill=off_diagonal, **square)]
    parents = _parents(boxes, box)
    side = box.side / len(parents)
    for slot, parent in enumerate(parents):
        at = _Box(parent.stage, parent.member, box.x + slot * side, box.y + slot * side, side)
        shapes += _blocks(at, boxes, stages, _TRAINED)
    if off_diagonal == _ZERO and side >= 16:
        size = min(side / 2, 26)
        shapes += [
            svg.text(
                box.x + (column + 0.5) * side,
                box.y + (row + 0.5) * side + size * 0.36,
                "0",
                size=size,
                anchor="middle",
                fill=svg.AXIS,
            )
            for row in range(len(parents))
            for column in range(len(parents))
            if row != column
        ]
    return shapes


def _band(parent: _Box, child: _Box, slot: int, colour: str) -> str:
    """Draw the way of a parent into its block: from its right edge to its slice of the child's."""
    x1, x2 = parent.x + parent.side, child.x
    top, bottom = parent.y, parent.y + parent.side
    to_top = child.y + slot * parent.side
    to_bottom = to_top + parent.side
    bend = (x1 + x2) / 2
    path = (
        f"M{x1:.1f} {top:.1f} C{bend:.1f} {top:.1f} {bend:.1f} {to_top:.1f} {x2:.1f} {to_top:.1f} "
        f"L{x2:.1f} {to_bottom:.1f} "
        f"C{bend:.1f} {to_bottom:.1f} {bend:.1f} {bottom:.1f} {x1:.1f} {bottom:.1f} Z"
    )
    return element("path", d=path, fill=colour, fill_opacity=0.22)


def _labels(run: PretrainingRun, index: int, x: float, y: float) -> list[str]:
    stage = run.stages[index]
    lines = [
        (f"stage {index}", "normal", svg.MUTED),
        (f"{stage.members} × {stage.width}", "bold", svg.INK),
        (format_epochs(stage.epochs), "normal", svg.INK),
        (format_flops(stage.flops), "normal", svg.INK),
        (f"{stage.flops / run.train_flops:.0%} of total", "normal", svg.INK),
    ]
    return [
        svg.text(
            x,
            y + i * _LINE,
            content,
            size=15 if weight == "bold" else 13,
            anchor="middle",
            fill=fill,
            weight=weight,
        )
        for i, (content, weight, fill) in enumerate(lines)
    ]


def _description(run: PretrainingRun) -> str:
    steps = ", coupled into ".join(
        f"{stage.members} of width {stage.width} for {format_epochs(stage.epochs)}"
        for stage in run.stages
    )
    return f"The recursion of {run.name}: {steps}"
