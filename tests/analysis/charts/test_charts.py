"""Drawings show the numbers they are made from, and their labels keep apart."""

import random
from itertools import pairwise

import pytest

from mmrbdc.analysis import collect, groups
from mmrbdc.analysis.charts import svg
from mmrbdc.analysis.charts.accuracy import accuracy_chart
from mmrbdc.analysis.charts.bars import ap_chart
from mmrbdc.analysis.charts.budget import budget_chart
from mmrbdc.analysis.charts.curves import curves_chart
from mmrbdc.analysis.charts.palette import group_colours
from mmrbdc.analysis.charts.recursion import recursion_chart
from mmrbdc.analysis.charts.series import Series
from mmrbdc.analysis.reports.page import NARROW, WIDE
from mmrbdc.runs.pretraining import PretrainingRun
from tests.analysis.drawings import NAMESPACE, elements, outside, overlaps, text_boxes
from tests.analysis.run_dirs import ONE_STEP, SCRATCH, TWO_STEPS, write_demo, write_pretraining

THREE_STEPS = (
    (8, 96, 90.0, 6e18),
    (4, 192, 80.0, 8e18),
    (2, 384, 60.0, 7e18),
    (1, 768, 55.0, 8e18),
)


def series_of(root):
    runs = collect([root]).pretrainings
    names = list(dict.fromkeys((run.method, run.name) for run in runs))
    return [
        Series(
            f"RBDC, {name}" if len(names) > 2 else name,
            "#123456",
            tuple(run for run in runs if run.name == name),
        )
        for _, name in names
    ]


@pytest.fixture(scope="module", params=["one seed", "five seeds", "two protocols"])
def demo(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    if request.param == "two protocols":
        return write_demo(root, seeds=range(2), families=("resnet",), extra_protocol=True)
    return write_demo(root, seeds=range(1 if request.param == "one seed" else 5))


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_no_label_touches_another_or_leaves_its_drawing(demo, width):
    found = groups(collect([demo]))
    series = series_of(demo)
    drawings = [
        accuracy_chart(series, width),
        budget_chart(series, width),
        ap_chart([g for g in found if g.spread("bbox_mAP")], group_colours(found), width),
        *(recursion_chart(one.runs[0], width) for one in series if one.is_recursion),
    ]
    for drawing in drawings:
        assert overlaps(drawing) == []
        assert outside(drawing) == []


def test_overlapping_labels_would_be_found():
    """The twin of the check above."""
    close = [svg.text(10, 20, "child 82.4 %"), svg.text(14, 26, "parents")]
    assert overlaps(svg.drawing(200, 50, "", close)) == [("child 82.4 %", "parents")]
    assert outside(svg.drawing(30, 50, "", close)) == ["child 82.4 %", "parents"]


@pytest.mark.parametrize("stages", [ONE_STEP, TWO_STEPS, THREE_STEPS])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_models_of_the_plan_are_as_wide_as_they_are(tmp_path, stages, width):
    path = write_pretraining(tmp_path / "a", name="a", method="rbdc", stages=stages)
    drawing = recursion_chart(collect([path]).pretrainings[0], width)
    outlines = [r for r in elements(drawing, "rect") if r.get("fill") == "none"]
    sides = [float(outline.get("width")) for outline in outlines]
    expected = [width for members, width, *_ in stages for _ in range(members)]
    assert sides == pytest.approx([sides[-1] * w / expected[-1] for w in expected], abs=0.02)
    words = [words for *_, words in text_boxes(drawing)]
    total = sum(flops for *_, flops in stages)
    for members, width_, epochs, flops in stages:
        assert f"{members} × {width_}" in words
        assert f"{epochs:g} epochs" in words
        assert f"{flops / total:.0%} of total" in words
    assert overlaps(drawing) == []


def test_a_child_holds_its_parents_on_its_diagonal(tmp_path):
    """Leaf blocks of the last model lie on its diagonal, in the members' order and colours."""
    path = write_pretraining(tmp_path / "a", name="a", method="rbdc", stages=TWO_STEPS)
    rects = elements(recursion_chart(collect([path]).pretrainings[0], WIDE), "rect")
    outline = [r for r in rects if r.get("fill") == "none"][-1]
    leaves = [r.get("fill") for r in rects[:8:2]]
    x, y, side = (float(outline.get(key)) for key in ("x", "y", "width"))
    blocks = [
        (float(r.get("x")) - x, float(r.get("y")) - y, r.get("fill"))
        for r in rects
        if r.get("fill") in leaves and float(r.get("x")) >= x
    ]
    expected = [(i * side / 4, i * side / 4, colour) for i, colour in enumerate(leaves)]
    for block, wanted in zip(blocks, expected, strict=True):
        assert block[:2] == pytest.approx(wanted[:2], abs=0.02)
        assert block[2] == wanted[2]


def test_accuracy_chart_draws_every_member_and_every_junction(tmp_path):
    write_pretraining(tmp_path / "a", name="a", method="rbdc", stages=TWO_STEPS)
    drawing = accuracy_chart(series_of(tmp_path), WIDE)
    clipped = next(g for g in elements(drawing, "g") if g.get("clip-path"))
    lines = clipped.findall(NAMESPACE + "polyline")
    assert len(lines) == (4 + 1) + (2 + 1) + 1
    marks = {
        "circle": [c for c in elements(drawing, "circle") if c.get("fill") == svg.PAPER],
        "diamond": elements(drawing, "polygon"),
    }
    legend = 1
    assert len(marks["circle"]) == 4 + 2 + legend
    assert len(marks["diamond"]) == 2 + 1 + legend
    ends = [max(float(p.split(",")[0]) for p in line.get("points").split()) for line in lines]
    assert ends == sorted(ends)


def test_accuracy_lines_follow_the_flops(tmp_path):
    """Two runs with FLOPs 1 : 2 end at pixels 1 : 2 from the axis."""
    for name, flops in (("short", 5e12), ("long", 1e13)):
        write_pretraining(tmp_path / name, name=name, method=name, stages=((1, 192, 20.0, flops),))
    drawing = accuracy_chart(series_of(tmp_path), WIDE)
    clipped = next(g for g in elements(drawing, "g") if g.get("clip-path"))
    lines = clipped.findall(NAMESPACE + "polyline")
    ends = sorted(float(line.get("points").split()[-1].split(",")[0]) for line in lines)
    axis = min(float(line.get("x1")) for line in elements(drawing, "line")
               if line.get("stroke") == svg.AXIS)  # fmt: skip
    assert (ends[1] - axis) / (ends[0] - axis) == pytest.approx(2.0, abs=1e-3)


def test_bars_are_as_high_as_the_means(tmp_path):
    found = groups(collect([write_demo(tmp_path, seeds=(0, 1, 2))]))
    colours = group_colours(found)
    rects = elements(ap_chart(found, colours, WIDE), "rect")
    for group in found:
        _, box, mask = (r for r in rects if r.get("fill") == colours[group.label])
        ratio = float(mask.get("height")) / float(box.get("height"))
        assert ratio == pytest.approx(
            group.spread("segm_mAP").mean / group.spread("bbox_mAP").mean, rel=1e-2
        )


def test_all_zero_aps_can_be_drawn(tmp_path):
    for file in write_demo(tmp_path).glob("*/mask-rcnn_*/test.json"):
        file.write_text('{"bbox_mAP": 0.0, "segm_mAP": 0.0}')
    found = groups(collect([tmp_path]))
    assert overlaps(ap_chart(found, group_colours(found), NARROW)) == []


def test_budget_bars_are_as_long_as_the_flops(tmp_path):
    write_pretraining(tmp_path / "a", name="a", method="rbdc", stages=TWO_STEPS)
    write_pretraining(tmp_path / "b", name="b", method="scratch", stages=SCRATCH)
    drawing = budget_chart(series_of(tmp_path), WIDE)
    widths = [float(r.get("width")) for r in elements(drawing, "rect")]
    flops = [stage[-1] for stage in (*TWO_STEPS, *SCRATCH)]
    assert widths == pytest.approx([widths[-1] * f / flops[-1] for f in flops], abs=0.02)
    assert "16.6 TFLOPs, 99.4% of scratch" in [words for *_, words in text_boxes(drawing)]


def test_colours_tell_groups_apart(tmp_path):
    found = groups(collect([write_demo(tmp_path, extra_protocol=True)]))
    colours = group_colours(found)
    assert len(set(colours.values())) == len(found) == 4


@pytest.mark.parametrize("seed", range(20))
def test_keep_apart(seed):
    noise = random.Random(seed)
    wanted = [noise.uniform(0, 100) for _ in range(noise.randint(1, 9))]
    placed = svg.keep_apart(wanted, 12, 0, 100)
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    gaps = [placed[b] - placed[a] for a, b in pairwise(order)]
    assert all(gap >= 12 - 1e-9 for gap in gaps)
    assert min(placed) >= -1e-9 and max(placed) <= 100 + 1e-9


def test_keep_apart_moves_no_more_than_it_must():
    assert svg.keep_apart([50, 10, 90], 12, 0, 100) == [50, 10, 90]
    assert svg.keep_apart([50, 50], 10, 0, 100) == [45, 55]
    assert svg.keep_apart([99, 98], 10, 0, 100) == [100, 90]


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [(0, 16.7, 8, [0, 2.5, 5, 7.5, 10, 12.5, 15]), (70, 100, 7, [70, 75, 80, 85, 90, 95, 100])],
)
def test_ticks_are_round(low, high, count, ticks):
    assert svg.Scale(low, high, 0, 1).ticks(count) == pytest.approx(ticks)


@pytest.mark.parametrize("points", [1, 4])
def test_every_validation_is_drawn_however_few_there_are(tmp_path, points):
    """A stage with one is a dot inside of the plot; with more it is a line through all of them."""
    runs = []
    for seed in range(3):
        path = tmp_path / str(seed)
        write_pretraining(path, name="a", method="rbdc", seed=seed, stages=TWO_STEPS, points=points)
        runs.append(PretrainingRun.read(path))
    drawing = curves_chart([Series("RBDC", "#123456", tuple(runs))], WIDE)
    dots = elements(drawing, "circle")
    lines = [line.get("points").split() for line in elements(drawing, "polyline")]
    if points == 1:
        assert len(dots) == 3 and [len(line) for line in lines] == [3]
        (area,) = elements(drawing, "rect")
        top, height = (float(area.get(key)) for key in ("y", "height"))
        assert all(top <= float(dot.get("cy")) <= top + height for dot in dots)
    else:
        assert not dots and [len(line) for line in lines] == [4, 4, 4]
