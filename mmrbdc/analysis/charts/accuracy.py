"""Accuracy over cumulative training FLOPs, with the junctions between stages."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.charts.legend import Entry, legend, symbol
from mmrbdc.analysis.charts.series import Series, models_of
from mmrbdc.analysis.compare.groups import Spread
from mmrbdc.analysis.markup import element
from mmrbdc.analysis.units import flops_unit, format_flops
from mmrbdc.runs.pretraining import PretrainingRun

_PLOT_HEIGHT = 380.0
_NOTE_LINE = 15.0
_CLIP = "plot"


@dataclass(frozen=True)
class _Frame:
    """The plot's place and scales."""

    x: svg.Scale
    y: svg.Scale
    unit: float
    unit_name: str

    def at(self, flops: float, top1: float) -> tuple[float, float]:
        return self.x(flops / self.unit), self.y(top1)


def accuracy_chart(series: Sequence[Series], width: float) -> str:
    """Draw every run: one thick line per stage, its members thin, junctions marked and labelled.

    Args:
        series: runs of one family.
        width: pixels.

    Returns:
        An SVG.
    """
    key, key_height = legend(_legend_entries(series), width)
    end_labels = _end_labels(series, width)
    right_margin = 14 + _widest(end_labels)
    most = max(run.stages[-1].curve[-1].flops for one in series for run in one.runs)
    size, unit_name = flops_unit(most)
    x = svg.Scale(0, most / size, 40, width - right_margin)
    notes, notes_height = _junction_notes(series, x, size, width)
    head = key_height + 16 + notes_height
    low, high = _accuracy_range(series)
    frame = _Frame(x, svg.Scale(low, high, head + _PLOT_HEIGHT, head), size, unit_name)
    shapes = [key, element("g", *notes, transform=f"translate(0 {key_height + 16:g})")]
    shapes += _axes(frame, narrow=width < 600)
    shapes += _junction_lines(series, frame)
    lines = [shape for one in series for run in one.runs for shape in _run_lines(one, run, frame)]
    shapes += [_clip_path(frame), element("g", *lines, clip_path=f"url(#{_clip_id(frame)})")]
    shapes += [s for one in series for run in one.runs for s in _junction_marks(one, run, frame)]
    shapes += _place_end_labels(end_labels, frame)
    names = " and ".join(one.label for one in series)
    return svg.drawing(
        width, head + _PLOT_HEIGHT + 46, f"Top-1 accuracy over training FLOPs: {names}", shapes
    )


def _accuracy_range(series: Sequence[Series]) -> tuple[float, float]:
    """Return a range with round ends that shows junctions, ends and most of every curve."""
    shown: list[float] = []
    for one in series:
        for run in one.runs:
            for stage in run.stages:
                curve = [point.top1 for point in stage.curve]
                shown += [sorted(curve)[len(curve) // 3], curve[-1]]
        for stage_index in range(1, len(one.runs[0].stages)):
            for coupling in one.couplings(stage_index):
                shown += [*coupling.parents, coupling.ensemble, coupling.child]
    best = max(point.top1 for s in series for r in s.runs for st in r.stages for point in st.curve)
    low, high = min(shown), max(best, *shown)
    step = svg.nice_step(max(high - low, 1.0) / 8)
    first = max(0.0, step * ((low - 0.3 * step) // step))
    last = min(100.0, step * ((high + 0.3 * step) // step + 1))
    return first, last


def _axes(frame: _Frame, narrow: bool) -> list[str]:
    x, y = frame.x, frame.y
    shapes = svg.value_grid(x, y)
    for tick in x.ticks(4 if narrow else 8):
        shapes += [
            svg.line(x(tick), y.start, x(tick), y.start + 5, svg.AXIS),
            svg.text(x(tick), y.start + 19, f"{tick:g}", anchor="middle", fill=svg.MUTED),
        ]
    title = f"training FLOPs spent, {'all models' if narrow else 'every model of every stage'}"
    shapes += [
        svg.text(x.start, y.end - 9, "top-1 on val, %", fill=svg.MUTED),
        svg.text(
            (x.start + x.end) / 2,
            y.start + 40,
            f"{title} ({frame.unit_name})",
            anchor="middle",
            fill=svg.MUTED,
        ),
    ]
    return shapes


def _clip_id(frame: _Frame) -> str:
    # Ids are shared by all drawings of a page: one per size is enough.
    return f"{_CLIP}-{frame.x.end:.0f}-{frame.y.end:.0f}-{frame.y.low:g}"


def _clip_path(frame: _Frame) -> str:
    x, y = frame.x, frame.y
    area = element(
        "rect", x=x.start, y=y.end - 4, width=x.end - x.start + 4, height=y.start - y.end + 4
    )
    return element("clipPath", area, id=_clip_id(frame))


def _run_lines(series: Series, run: PretrainingRun, frame: _Frame) -> list[str]:
    single = len(series.runs) == 1
    thick = {"stroke_width": 2.8 if single else 1.7, "stroke_opacity": 1.0 if single else 0.75}
    thin = {"stroke_width": 1.1, "stroke_opacity": 0.5 if single else 0.14}
    shapes: list[str] = []
    for stage in run.stages:
        born = stage.junction
        for member in range(stage.members if stage.members > 1 else 0):
            points = [frame.at(point.flops, point.members[member]) for point in stage.curve]
            if born:
                points.insert(0, frame.at(born.flops, born.children[member].child))
            shapes.append(svg.polyline(points, series.colour, **thin))
        points = [frame.at(point.flops, point.top1) for point in stage.curve]
        if born and stage.members == 1:
            points.insert(0, frame.at(born.flops, born.children[0].child))
        shapes.append(svg.polyline(points, series.colour, **thick))
    # The end is marked, so that a run validated only once is seen too.
    x, y = points[-1]
    return [*shapes, element("circle", cx=x, cy=y, r=3.2 if single else 2.4, fill=series.colour)]


def _junction_lines(series: Sequence[Series], frame: _Frame) -> list[str]:
    places = {
        (stage.junction.flops, one.colour)
        for one in series
        for stage in one.runs[0].stages
        if stage.junction
    }
    return [
        svg.line(
            frame.x(flops / frame.unit),
            frame.y.start,
            frame.x(flops / frame.unit),
            frame.y.end - 4,
            colour,
            stroke_dasharray="2 4",
            stroke_opacity=0.6,
        )
        for flops, colour in sorted(places)
    ]


def _junction_marks(series: Series, run: PretrainingRun, frame: _Frame) -> list[str]:
    size = 4.5 if len(series.runs) == 1 else 3.4
    marks: list[str] = []
    for stage in run.stages:
        if stage.junction is None:
            continue
        for child in stage.junction.children:
            values = [("circle", value) for value in child.parents]
            values += [("square", child.ensemble), ("diamond", child.child)]
            marks += [
                symbol(kind, *frame.at(stage.junction.flops, value), series.colour, size)
                for kind, value in values
            ]
    return marks


def _legend_entries(series: Sequence[Series]) -> list[Entry]:
    entries = [Entry(one.label, one.colour) for one in series]
    if any(one.couples for one in series):
        entries += [
            Entry("a stage's ensemble", svg.INK, "line"),
            Entry("one member", svg.INK, "thin line"),
            Entry("parent", svg.INK, "circle"),
            Entry("its parents' ensemble", svg.INK, "square"),
            Entry("child before its first step", svg.INK, "diamond"),
        ]
    return entries


def _junction_notes(
    series: Sequence[Series], x: svg.Scale, unit: float, width: float
) -> tuple[list[str], float]:
    """Write each junction's accuracies above it, one row lower where the row is taken.

    Returns:
        The shapes, from 0 downwards, and the height they need, the plot's title included.
    """
    shapes: list[str] = []
    taken: list[list[tuple[float, float]]] = []
    several = sum(one.couples for one in series) > 1
    height = 0.0
    for one in series:
        for index in range(1, len(one.runs[0].stages)):
            junction = one.runs[0].stages[index].junction
            assert junction is not None
            lines = _note_lines(one, index, named=several)
            needed = 8 + max(svg.text_width(line, weight="bold") for line in lines)
            left = max(min(x(junction.flops / unit), width - needed), 0.0)
            span = (left, left + needed + 14)
            row = next(
                (i for i, spans in enumerate(taken) if not _overlaps(span, spans)), len(taken)
            )
            taken += [[]] if row == len(taken) else []
            taken[row].append(span)
            height = len(lines) * _NOTE_LINE
            top = row * (height + 10)
            shapes.append(svg.line(left, top, left, top + height, one.colour, stroke_width=1.5))
            shapes += [
                svg.text(
                    left + 8, top + 11 + i * _NOTE_LINE, line, weight="normal" if i else "bold"
                )
                for i, line in enumerate(lines)
            ]
    return shapes, len(taken) * (height + 10) + 24


def _overlaps(span: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    return any(span[0] < right and left < span[1] for left, right in others)


def _note_lines(series: Series, index: int, named: bool) -> list[str]:
    run = series.runs[0]
    before, stage = run.stages[index - 1 : index + 1]
    assert stage.junction is not None
    found = series.couplings(index)
    parents = [value for coupling in found for value in coupling.parents]
    step = f"{models_of(run, before)} → {models_of(run, stage)}"
    return [
        *([series.label] if named else []),
        step,
        f"after {format_flops(stage.junction.flops)}",
        f"parents {fmean(parents):.1f} % ({min(parents):.1f} to {max(parents):.1f})",
        f"ensemble {fmean(coupling.ensemble for coupling in found):.1f} %",
        f"child {fmean(coupling.child for coupling in found):.1f} %",
    ]


def _end_labels(series: Sequence[Series], width: float) -> list[tuple[str, Series, float]]:
    """Return label, series and mean final accuracy of each series; short where space is short."""
    finals = [Spread.of([run.stages[-1].curve[-1].top1 for run in one.runs]) for one in series]
    spreads = ["" if final.sd is None else f" ± {final.sd:.1f}" for final in finals]
    labels = [
        (f"{one.label} {final.mean:.1f}{spread}", one, final.mean)
        for one, final, spread in zip(series, finals, spreads, strict=True)
    ]
    if _widest(labels) > 0.2 * width:
        return [
            (f"{final.mean:.1f}", one, final.mean)
            for one, final in zip(series, finals, strict=True)
        ]
    return labels


def _widest(labels: Sequence[tuple[str, Series, float]]) -> float:
    return max(svg.text_width(label, 13, "bold") for label, _, _ in labels)


def _place_end_labels(labels: Sequence[tuple[str, Series, float]], frame: _Frame) -> list[str]:
    wanted = [frame.y(value) for _, _, value in labels]
    places = svg.keep_apart(wanted, 18, frame.y.end, frame.y.start)
    shapes: list[str] = []
    for (label, one, value), wish, place in zip(labels, wanted, places, strict=True):
        ends = [frame.at(r.stages[-1].curve[-1].flops, value)[0] for r in one.runs]
        shapes += [
            svg.polyline(
                [(max(ends) + 3, wish), (frame.x.end + 2, wish), (frame.x.end + 8, place)],
                one.colour,
                stroke_width=1,
                stroke_dasharray="1 3",
            ),
            svg.text(frame.x.end + 11, place + 4.5, label, size=13, fill=one.colour, weight="bold"),
        ]
    return shapes
