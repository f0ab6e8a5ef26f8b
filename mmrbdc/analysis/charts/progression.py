"""How a model grows in depth and image size: both over the training FLOPs of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.charts.legend import Entry, legend
from mmrbdc.analysis.charts.series import depth_and_size
from mmrbdc.analysis.markup import element
from mmrbdc.analysis.units import flops_unit
from mmrbdc.runs.pretraining import PretrainingRun, StageRun
from mmrbdc.wording import counted

_STEP = 30.0
"""Pixels between two values of a panel, at least."""
_LEFT = 40.0
_PANEL_GAP = 34.0
_NOTE_LINE = 15.0
_SHADE = "#f2c14e"
_THINNEST = 5.0
"""Pixels of a search, which may be a hundredth of the run."""


@dataclass(frozen=True)
class _Quantity:
    """What a panel shows.

    Attributes:
        title: of the panel.
        of_stage: its value; None where it is not known.
        place: of its value in a candidate.
    """

    title: str
    of_stage: Callable[[StageRun], int | None]
    place: int


_QUANTITIES = (
    _Quantity("image size, pixels", lambda stage: stage.img_size, 1),
    _Quantity("depth, blocks", lambda stage: stage.blocks, 0),
)


@dataclass(frozen=True)
class _Part:
    """A stage and where it lies.

    Attributes:
        stage: of the run.
        left: pixel at which it begins.
        right: pixel at which it ends.
        search: its number from 1 if it is a search.
        found: the stage that a search has led to.
    """

    stage: StageRun
    left: float
    right: float
    search: int = 0
    found: StageRun | None = None


def alike(runs: Sequence[PretrainingRun]) -> list[tuple[PretrainingRun, ...]]:
    """Runs of one protocol, those together that grew in the same way: searches may differ."""
    found: dict[object, list[PretrainingRun]] = {}
    for run in runs:
        found.setdefault(run.progression, []).append(run)
    return [tuple(own) for own in found.values()]


def progression_chart(run: PretrainingRun, colour: str, width: float) -> str:
    """Draw image size and depth of every stage, and what searches tried.

    What stays the same throughout has no panel.

    Args:
        run: one that grows in one of the two.
        colour: of its lines.
        width: pixels.

    Returns:
        An SVG.
    """
    spent = sum(stage.flops for stage in run.stages)
    size, unit = flops_unit(spent)
    x = svg.Scale(0, spent / size, _LEFT, width - 10)
    parts = _parts(run, x, size)
    shapes: list[str] = []
    head = 0.0
    if run.searches:
        entries = [
            Entry("trained", colour, "line"),
            Entry("search", _SHADE),
            Entry("tried there", colour, "thin line"),
        ]
        key, head = legend(entries, width)
        notes, height = _notes(parts, width)
        shapes += [key, element("g", *notes, transform=f"translate(0 {head + 12:g})")]
        head += 12 + height
    bottom = head
    for quantity in _QUANTITIES:
        if len(_values(parts, quantity)) > 1:
            drawn, bottom = _panel(parts, quantity, bottom, x, colour)
            shapes += drawn
    for tick in x.ticks(8 if width > 600 else 4):
        shapes += [
            svg.line(x(tick), bottom, x(tick), bottom + 5, svg.AXIS),
            svg.text(x(tick), bottom + 19, f"{tick:g}", anchor="middle", fill=svg.MUTED),
        ]
    title = f"training FLOPs spent ({unit})"
    shapes.append(
        svg.text((x.start + x.end) / 2, bottom + 40, title, anchor="middle", fill=svg.MUTED)
    )
    return svg.drawing(width, bottom + 46, _description(run), shapes)


def _parts(run: PretrainingRun, x: svg.Scale, unit: float) -> list[_Part]:
    parts: list[_Part] = []
    spent, searches = 0.0, 0
    for i, stage in enumerate(run.stages):
        left, right = x(spent / unit), x((spent + stage.flops) / unit)
        spent += stage.flops
        if stage.candidates:
            searches += 1
            parts.append(_Part(stage, left, right, searches, run.stages[i + 1]))
        else:
            parts.append(_Part(stage, left, right))
    return parts


def _values(parts: Sequence[_Part], quantity: _Quantity) -> list[int]:
    """All that is trained or tried, in order; nothing where it is not known."""
    found = {quantity.of_stage(part.stage) for part in parts if not part.search}
    found |= {one[quantity.place] for part in parts for one in part.stage.candidates}
    return [] if None in found else sorted(one for one in found if one is not None)


def _panel(
    parts: Sequence[_Part], quantity: _Quantity, top: float, x: svg.Scale, colour: str
) -> tuple[list[str], float]:
    """Draw what one quantity was; what is returned besides is where the panel ends."""
    values = _values(parts, quantity)
    closest = min(b - a for a, b in pairwise(values))
    height = min(max(_STEP * (values[-1] - values[0]) / closest, 60), 130)
    y = svg.Scale(values[0], values[-1], top + _PANEL_GAP + height, top + _PANEL_GAP)
    bottom = y.start + 14
    shapes = [svg.text(0, y.end - 14, quantity.title, fill=svg.MUTED)]
    shapes += [_shade(part, y.end - 8, bottom) for part in parts if part.search]
    labelled = y.start + 20
    for tick in values:
        shapes.append(svg.line(x.start, y(tick), x.end, y(tick), svg.GRID))
        if y(tick) <= labelled - 14:
            labelled = y(tick)
            shapes.append(svg.text(x.start - 7, y(tick) + 4, f"{tick}", anchor="end",
                                   fill=svg.MUTED))  # fmt: skip
    shapes.append(svg.line(x.start, bottom, x.end, bottom, svg.AXIS))
    levels = [y(quantity.of_stage(part.found or part.stage) or 0) for part in parts]
    for part, level in zip(parts, levels, strict=True):
        left, right = _broad(part)
        shapes += [
            svg.line(left, y(one), right, y(one), colour, stroke_width=1.2, stroke_opacity=0.7)
            for one in sorted({candidate[quantity.place] for candidate in part.stage.candidates})
        ]
        faded = 0.45 if part.search else 1.0
        shapes.append(
            svg.line(left, level, right, level, colour, stroke_width=3, stroke_opacity=faded)
        )
    for (before, low), (part, high) in pairwise(zip(parts, levels, strict=True)):
        if not before.search and not part.search:
            shapes.append(svg.line(part.left, low, part.left, high, colour))
    return shapes, bottom


def _shade(part: _Part, top: float, bottom: float) -> str:
    left, right = _broad(part)
    return element(
        "rect", x=left, y=top, width=right - left, height=bottom - top, fill=_SHADE,
        fill_opacity=0.45,
    )  # fmt: skip


def _broad(part: _Part) -> tuple[float, float]:
    """Both ends; those of a search are far enough apart to be seen."""
    return (min(part.left, part.right - _THINNEST) if part.search else part.left), part.right


def _notes(parts: Sequence[_Part], width: float) -> tuple[list[str], float]:
    """Say of every search what it tried and chose, one row lower where the row is taken.

    Returns:
        The shapes, from 0 downwards, and the height that they need.
    """
    shapes: list[str] = []
    ends: list[float] = []
    height = 3 * _NOTE_LINE
    for part in parts:
        if part.found is None:
            continue
        lines = _words(part, part.found)
        needed = 8 + max(svg.text_width(line, weight="bold") for line in lines)
        left = max(min(part.left, width - needed), 0.0)
        row = next((i for i, end in enumerate(ends) if end <= left), len(ends))
        ends += [0.0] if row == len(ends) else []
        ends[row] = left + needed + 14
        top = row * (height + 10)
        shapes.append(svg.line(left, top, left, top + height, _SHADE, stroke_width=2))
        shapes += [
            svg.text(left + 8, top + 11 + i * _NOTE_LINE, line, weight="normal" if i else "bold")
            for i, line in enumerate(lines)
        ]
    return shapes, len(ends) * (height + 10)


def _words(part: _Part, found: StageRun) -> tuple[str, ...]:
    tried = part.stage.candidates
    blocks, pixels = (_range([one[place] for one in tried]) for place in (0, 1))
    return (
        f"search {part.search}: {counted(len(tried), 'sub-net')}",
        f"{blocks} blocks, {pixels} px",
        f"→ {depth_and_size(found)}",
    )


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def _description(run: PretrainingRun) -> str:
    stages = ", then ".join(depth_and_size(stage) for stage in run.trained)
    return f"Depth and image size of {run.name} over training FLOPs: {stages}"
