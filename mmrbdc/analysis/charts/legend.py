"""A legend that wraps to the width it is given."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.markup import element

_ROW = 20.0
_SWATCH = 26.0
_SPACE = 18.0


@dataclass(frozen=True)
class Entry:
    """One line of a legend.

    Attributes:
        label: the words.
        colour: of the swatch.
        mark: ``area``, ``line``, ``thin line``, or a symbol of :func:`symbol`.
        dashes: of a ``line``.
    """

    label: str
    colour: str
    mark: str = "area"
    dashes: str = ""


def legend(entries: Sequence[Entry], width: float, left: float = 0.0) -> tuple[str, float]:
    """Return the legend as a group of elements, and its height in pixels."""
    x, y = left, 0.0
    shapes: list[str] = []
    for entry in entries:
        needed = _SWATCH + svg.text_width(entry.label) + _SPACE
        if x > left and x + needed - _SPACE > width:
            x, y = left, y + _ROW
        shapes += [_swatch(entry, x, y + 9), svg.text(x + _SWATCH, y + 13, entry.label)]
        x += needed
    return element("g", *shapes), y + _ROW


def symbol(kind: str, x: float, y: float, colour: str, size: float = 4.5) -> str:
    """Return a symbol: ``circle`` or ``square``, both hollow, or a filled ``diamond``."""
    style: dict[str, str | float] = {"stroke": colour, "stroke_width": 1.6}
    if kind == "circle":
        return element("circle", cx=x, cy=y, r=size * 0.8, fill=svg.PAPER, **style)
    if kind == "square":
        return element(
            "rect",
            x=x - size * 0.85,
            y=y - size * 0.85,
            width=size * 1.7,
            height=size * 1.7,
            fill=svg.PAPER,
            **style,
        )
    assert kind == "diamond", kind
    points = f"{x:.1f},{y - size * 1.35:.1f} {x + size * 1.35:.1f},{y:.1f} "
    points += f"{x:.1f},{y + size * 1.35:.1f} {x - size * 1.35:.1f},{y:.1f}"
    return element("polygon", points=points, fill=colour, stroke=svg.PAPER, stroke_width=1)


def _swatch(entry: Entry, x: float, y: float) -> str:
    if entry.mark == "area":
        return element("rect", x=x, y=y - 6, width=18, height=12, rx=2, fill=entry.colour)
    if entry.mark == "line":
        style = svg.dashed(entry.dashes)
        return svg.line(x, y, x + 20, y, entry.colour, stroke_width=3, **style)
    if entry.mark == "thin line":
        return svg.line(x, y, x + 20, y, entry.colour, stroke_width=1.2, stroke_opacity=0.55)
    return symbol(entry.mark, x + 10, y, entry.colour)
