"""Just enough SVG: elements as strings, scales with ticks, labels that keep apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from mmrbdc.analysis.markup import element, escaped, number

INK = "#1f2933"
MUTED = "#5f6b7a"
GRID = "#e4e8ed"
AXIS = "#9aa5b1"
PAPER = "#ffffff"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_NARROW = "iljtfrI1.,:;'|()[] "
_WIDE = "mwMW%@×–→±−"


def drawing(width: float, height: float, description: str, children: Sequence[str]) -> str:
    """Return a whole SVG of ``width`` x ``height`` pixels that also stands as a file of its own.

    Args:
        width: of the view box; the drawing shrinks to the page where that is narrower.
        height: of the view box.
        description: read out instead of the picture.
        children: elements.
    """
    return element(
        "svg",
        element("title", escaped(description)),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="img",
        font_family=FONT,
        style="max-width: 100%; height: auto",
    )


def text(
    x: float,
    y: float,
    content: str,
    *,
    size: float = 12,
    anchor: str = "start",
    fill: str = INK,
    weight: str = "normal",
) -> str:
    """Return a line of text with its baseline at ``y``."""
    return element(
        "text",
        escaped(content),
        x=x,
        y=y,
        font_size=size,
        text_anchor=anchor,
        fill=fill,
        font_weight=weight,
    )


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, **attributes: str | float) -> str:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **attributes)


def polyline(points: Sequence[tuple[float, float]], stroke: str, **attributes: str | float) -> str:
    """Return an open line through ``points``."""
    path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return element(
        "polyline", points=path, fill="none", stroke=stroke, stroke_linejoin="round", **attributes
    )


def dashed(pattern: str) -> dict[str, str | float]:
    """Return the attributes of a line with these dashes and gaps; none for an empty pattern."""
    return {"stroke_dasharray": pattern} if pattern else {}


def text_width(content: str, size: float = 12, weight: str = "normal") -> float:
    """Estimate the width of a line of text in pixels, in the widest of the usual fonts."""
    units = sum(
        0.38 if c in _NARROW else 0.95 if c in _WIDE else 0.74 if c.isupper() else 0.63
        for c in content
    )
    return units * size * (1.12 if weight == "bold" else 1.0)


@dataclass(frozen=True)
class Scale:
    """A linear map from the data range ``[low, high]`` to the pixels ``[start, end]``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of ``value``."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Return about ``count`` round values inside the range."""
        step = nice_step((self.high - self.low) / count)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def value_grid(x: Scale, y: Scale) -> list[str]:
    """Return the plot's bottom line and, at every tick of ``y``, a line across and its value."""
    shapes: list[str] = []
    for tick in y.ticks(7):
        shapes += [
            line(x.start, y(tick), x.end, y(tick), GRID),
            text(x.start - 7, y(tick) + 4, f"{tick:g}", anchor="end", fill=MUTED),
        ]
    return [*shapes, line(x.start, y.start, x.end, y.start, AXIS)]


def nice_step(rough: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that is at least ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(s for s in (1, 2, 2.5, 5, 10) if s * power >= rough * (1 - 1e-9))


def keep_apart(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions as little as needed so that neighbours are ``gap`` apart inside a range.

    Args:
        positions: in any order.
        gap: smallest distance.
        low: smallest position allowed; kept before ``high`` where both cannot be.
        high: largest position allowed.

    Returns:
        The new positions, in the order of ``positions``.
    """
    order = sorted(range(len(positions)), key=positions.__getitem__)
    # Without the gaps the places must not decrease: pool neighbours that do (isotonic regression).
    pools: list[list[float]] = []
    for slot, i in enumerate(order):
        pools.append([positions[i] - slot * gap])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            merged = pools.pop()
            pools[-1] += merged
    last = max(low, high - (len(positions) - 1) * gap)
    placed = [min(max(fmean(pool), low), last) for pool in pools for _ in pool]
    result = [0.0] * len(placed)
    for slot, i in enumerate(order):
        result[i] = placed[slot] + slot * gap
    return result
