"""Depth and image size over FLOPs: drawn as they were, with what searches tried and chose."""

import pytest

from mmrbdc.analysis.charts.progression import alike, progression_chart
from mmrbdc.analysis.charts.series import Series, models_of
from mmrbdc.analysis.reports.page import NARROW, WIDE
from mmrbdc.analysis.reports.progressions import growing, growth_words
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.runs.pretraining import PretrainingRun
from tests.analysis.drawings import elements, outside, overlaps, text_boxes
from tests.analysis.growing_dirs import FIRST, GROWING, SEARCHING, write_growing
from tests.analysis.run_dirs import TWO_STEPS, edit_json, write_pretraining

COLOUR, SHADE = "#123456", "#f2c14e"


def read(path, stages=SEARCHING, method="autoprog", **kwargs):
    return PretrainingRun.read(
        write_growing(path, name="a", method=method, stages=stages, **kwargs)
    )


def words(drawing):
    return [found for *_, found in text_boxes(drawing)]


def thick(drawing):
    """(left, right, level, faded) of what was trained or chosen."""
    return [
        tuple(float(line.get(key)) for key in ("x1", "x2", "y1", "stroke-opacity"))
        for line in elements(drawing, "line")
        if line.get("stroke") == COLOUR
        and line.get("stroke-width") == "3"
        and line.get("stroke-opacity")
    ]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("stages", [SEARCHING, GROWING])
def test_no_label_touches_another_or_leaves_the_drawing(tmp_path, stages, width):
    drawing = progression_chart(read(tmp_path / "a", stages), COLOUR, width)
    assert overlaps(drawing) == [] and outside(drawing) == []


def test_lines_are_as_long_as_the_flops_and_as_high_as_the_values(tmp_path):
    run = read(tmp_path / "a", GROWING)
    drawing = progression_chart(run, COLOUR, WIDE)
    sizes, depths = thick(drawing)[:3], thick(drawing)[3:]
    for lines, values in ((sizes, (16, 24, 32)), (depths, (2, 3, 4))):
        lengths = [right - left for left, right, *_ in lines]
        assert lengths == pytest.approx([lengths[-1] * f / 4 for f in (1, 2, 4)], abs=0.02)
        levels = [level for *_, level, _ in lines]
        assert levels[0] - levels[1] == pytest.approx(levels[1] - levels[2], abs=0.02)
        assert levels[0] > levels[2], values
    assert {"16", "24", "32", "2", "3", "4"} <= {*words(drawing)}
    assert not any(rect.get("fill") == SHADE for rect in elements(drawing, "rect"))


def test_searches_are_shaded_and_say_what_they_tried_and_chose(tmp_path):
    run = read(tmp_path / "a")
    drawing = progression_chart(run, COLOUR, WIDE)
    shades = [r for r in elements(drawing, "rect") if r.get("fill-opacity") == "0.45"]
    assert len(shades) == 2 * 2
    assert all(float(shade.get("width")) >= 5 for shade in shades), "a short one is seen too"
    told = words(drawing)
    for line in (
        "search 1: 9 sub-nets", "2 to 4 blocks, 16 to 32 px", "→ 3 blocks, 16 px",
        "search 2: 2 sub-nets", "4 blocks, 16 to 24 px", "→ 4 blocks, 16 px",
    ):  # fmt: skip
        assert line in told
    tried = [x for x in elements(drawing, "line") if x.get("stroke-opacity") == "0.7"]
    assert len(tried) == (3 + 2) + (3 + 1)
    chosen = [level for *_, level, faded in thick(drawing) if faded == 0.45]
    trained = [level for *_, level, faded in thick(drawing) if faded == 1]
    assert chosen[:2] == trained[:2] and chosen[2:] == trained[3:5]


def test_what_does_not_change_has_no_panel(tmp_path):
    stages = tuple((4, px, flops, ()) for _, px, flops, _ in GROWING)
    drawing = progression_chart(read(tmp_path / "a", stages), COLOUR, WIDE)
    assert "image size, pixels" in words(drawing) and "depth, blocks" not in words(drawing)


def test_blocks_are_the_files(tmp_path):
    """Of the target's own number; unknown where a file has none, or another's family."""
    assert [stage.blocks for stage in read(tmp_path / "a").stages] == [4, 3, 4, 4, 4]
    path = tmp_path / "a" / "a.json"
    edit_json(path, lambda meta: meta["architecture"].update(family="somebodys"))
    run = PretrainingRun.read(tmp_path / "a")
    assert {stage.blocks for stage in run.stages} == {None}
    assert "depth, blocks" not in words(progression_chart(run, COLOUR, WIDE))
    edit_json(path, lambda meta: meta["architecture"].update(family="deit", depth="four"))
    edit_json(path, lambda meta: meta["architecture"].pop("embed_dims"))
    with pytest.raises(AnalysisError, match="'architecture' cannot be read: .*embed_dims"):
        PretrainingRun.read(tmp_path / "a")


def test_seeds_that_found_otherwise_are_drawn_apart(tmp_path):
    other = (*SEARCHING[:3], (4, 24, 2e12, ()), SEARCHING[4])
    runs = [
        read(tmp_path / str(seed), other if seed == 1 else SEARCHING, seed=seed)
        for seed in (0, 1, 2)
    ]
    assert [len(own) for own in alike(runs)] == [2, 1]
    found = growing(runs)
    assert [one.heading for one in found] == [
        "AutoProg: a, seeds 0, 2",
        "AutoProg: a, seed 1",
    ]
    assert len({one.stem for one in found}) == 2
    assert "Yellow" in growth_words(found)


def test_only_what_grows_in_depth_or_size_is_drawn(tmp_path):
    path = write_pretraining(tmp_path / "b", name="b", method="rbdc", stages=TWO_STEPS)
    coupled = PretrainingRun.read(path)
    assert growing([coupled]) == []
    assert Series("RBDC", COLOUR, (coupled,)).is_recursion
    grown = read(tmp_path / "a", GROWING, "progressive")
    (one,) = growing([coupled, grown])
    assert one.runs == (grown,) and "Yellow" not in growth_words([one])
    assert not Series("a", COLOUR, (grown,)).is_recursion


def test_one_model_is_called_by_what_grows(tmp_path):
    run = read(tmp_path / "a")
    told = [models_of(run, stage) for stage in run.stages]
    assert told == ["search", "3 blocks, 16 px", "search", "4 blocks, 16 px", "4 blocks, 32 px"]
    path = write_pretraining(tmp_path / "b", name="b", method="rbdc", stages=TWO_STEPS)
    coupled = PretrainingRun.read(path)
    assert models_of(coupled, coupled.stages[0]) == "4 × 48"


def test_a_search_that_found_the_whole_model_is_drawn_too(tmp_path):
    stages = ((4, 32, 3e11, FIRST), (4, 32, 1e12, ()), (4, 32, 4e12, ()))
    run = read(tmp_path / "a", stages)
    assert run.grows and len(growing([run])) == 1
    assert "→ 4 blocks, 32 px" in words(progression_chart(run, COLOUR, WIDE))
