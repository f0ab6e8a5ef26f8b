"""Final accuracy over narrow : wide epochs at equal FLOPs: the paper's third figure."""

from dataclasses import dataclass

from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.charts.bands import BELOW, Frame, axes, band, line_colours, make_frame
from mmrbdc.analysis.charts.legend import Entry, legend
from mmrbdc.analysis.markup import element
from mmrbdc.analysis.study.variants import Study, Variant, same_flops, same_ratio
from mmrbdc.analysis.units import format_flops


@dataclass(frozen=True)
class Sweep:
    """Variants of one method that spent equally much.

    Attributes:
        label: of the method.
        variants: by rising ratio, at least two different ones.
        scratch: runs from scratch that spent as much; None where there are none.
    """

    label: str
    variants: tuple[Variant, ...]
    scratch: Variant | None


def sweeps(study: Study) -> list[Sweep]:
    """Find the ratio sweeps of a study."""
    found: list[Sweep] = []
    for label in dict.fromkeys(variant.label for variant in study.grown):
        left = [variant for variant in study.grown if variant.label == label]
        while left:
            alike = [variant for variant in left if same_flops(variant.flops, left[0].flops)]
            left = [variant for variant in left if variant not in alike]
            alike.sort(key=_ratio)
            if same_ratio(_ratio(alike[0]), _ratio(alike[-1])):
                continue
            equal = [v for v in study.scratch if same_flops(v.flops, alike[0].flops)]
            found.append(Sweep(label, tuple(alike), equal[0] if equal else None))
    return found


def ratios_chart(study: Study, found: list[Sweep], width: float) -> str:
    """Draw sweeps over the ratio, and scratch at the same FLOPs as a level line.

    Args:
        study: what the sweeps are of.
        found: at least one.
        width: pixels.

    Returns:
        An SVG.
    """
    colours = line_colours(study)
    levels = list(dict.fromkeys(sweep.scratch for sweep in found if sweep.scratch))
    entries = [
        Entry(f"{s.label}, {format_flops(s.variants[0].flops)}", colours[s.label], "line")
        for s in found
    ]
    entries += [
        Entry(f"{level.label}, {format_flops(level.flops)}", colours[level.label], "thin line")
        for level in levels
    ]
    key, head = legend(entries, width)
    variants = [variant for sweep in found for variant in sweep.variants]
    ratios = sorted({_ratio(variant) for variant in variants})
    frame = make_frame(ratios, [*variants, *levels], head + 30, width)
    ticks = [(ratio, (f"{ratio:.2g}",)) for ratio in ratios]
    title = "epochs of a narrow stage over epochs of the next, at equal training FLOPs"
    if svg.text_width(title) > width:
        title = "narrow over wide epochs, at equal FLOPs"
    shapes = [key, *axes(frame, ticks, title, study.split)]
    for level in levels:
        shapes += _level(frame, level, colours[level.label])
    for sweep in found:
        values = [_ratio(variant) for variant in sweep.variants]
        shapes += band(frame, values, sweep.variants, colours[sweep.label])
    names = ", ".join(sweep.label for sweep in found)
    described = f"Final top-1 accuracy over the ratio of narrow to wide epochs: {names}"
    return svg.drawing(width, frame.y.start + BELOW - 15, described, shapes)


def _level(frame: Frame, variant: Variant, colour: str) -> list[str]:
    """Draw a variant without a ratio: its mean and its band across the whole plot."""
    top1, (left, right) = variant.top1, (frame.x.start, frame.x.end)
    y, half = frame.y(top1.mean), abs(frame.y(top1.sd or 0.0) - frame.y(0.0))
    area = element(
        "rect", x=left, y=y - half, width=right - left, height=2 * half, fill=colour,
        fill_opacity=0.1,
    )  # fmt: skip
    ends = [(left, y), (right, y)]
    return [area, svg.polyline(ends, colour, stroke_width=1.8, stroke_dasharray="6 4")]


def _ratio(variant: Variant) -> float:
    assert variant.ratio is not None
    return variant.ratio
