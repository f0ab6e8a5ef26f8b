"""Runs become variants and sweeps, what cannot be compared is refused, figures show the rest."""

import csv
import io
import json
from itertools import pairwise

import pytest

from mmrbdc.analysis import AnalysisError
from mmrbdc.analysis.charts.budgets import at_one_ratio, budgets_chart
from mmrbdc.analysis.charts.ratios import ratios_chart, sweeps
from mmrbdc.analysis.reports.page import NARROW, WIDE
from mmrbdc.analysis.reports.saving_report import savings_of, write_saving_report
from mmrbdc.analysis.study.variants import read_study
from tests.analysis.drawings import elements, outside, overlaps
from tests.analysis.run_dirs import edit_json
from tests.analysis.study_dirs import REFERENCE, write_run, write_study

CURVE = {0.25: 40.0, 0.5: 48.0, 1.0: 56.0}
GROWN = [
    (1, 0.5, 0.5, 49.0),
    (1, 0.5, 1.5, 52.0),
    (1, 0.5, 3.0, 50.0),
    (1, 0.7, 1.5, 55.0),
    (2, 0.5, 1.5, 60.0),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"), CURVE, GROWN)


@pytest.fixture(scope="module")
def study(place):
    return read_study([place])


def test_runs_that_differ_in_their_seed_become_one_variant(study):
    assert (study.family, study.target, study.reference_flops) == ("deit", "deit 4x128", REFERENCE)
    assert [variant.share for variant in study.scratch] == pytest.approx(list(CURVE))
    assert [variant.top1.mean for variant in study.scratch] == pytest.approx(list(CURVE.values()))
    assert all(len(variant.runs) == 3 for variant in study.variants)
    found = [(len(v.epochs) - 1, v.share, v.ratio, v.top1.mean) for v in study.grown]
    assert sorted(found) == [pytest.approx(wanted) for wanted in sorted(GROWN)]
    assert [variant.ratio for variant in study.scratch] == [None] * 3


def test_savings_by_hand(study):
    """One step at ratio 1.5: 52 % lies half-way between 48 and 56, so at sqrt(0.5 * 1) budgets."""
    savings = savings_of(study)
    by_kind = {(v.label, round(v.share, 2), round(v.ratio, 1)): s for v, s in savings.items()}
    assert by_kind["RBDC, 1 step", 0.5, 1.5].value == pytest.approx(1 - 0.5 / 0.5**0.5)
    assert by_kind["RBDC, 1 step", 0.5, 0.5].value == pytest.approx(1 - 0.5 / (0.5 * 2**0.125))
    assert by_kind["RBDC, 2 steps", 0.5, 1.5].shown_interval == "at least 50 %"


def test_the_line_of_a_method_has_one_ratio(study):
    line = at_one_ratio(study, "RBDC, 1 step")
    assert [(v.share, v.ratio) for v in line] == [pytest.approx((s, 1.5)) for s in (0.5, 0.7)]


def test_a_sweep_is_at_equal_flops(study):
    (sweep,) = sweeps(study)
    assert [variant.ratio for variant in sweep.variants] == pytest.approx([0.5, 1.5, 3.0])
    assert {variant.flops for variant in sweep.variants} == {0.5 * REFERENCE}
    assert sweep.scratch.share == pytest.approx(0.5)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_labels_keep_apart(study, width):
    drawings = [
        budgets_chart(study, savings_of(study), width),
        ratios_chart(study, sweeps(study), width),
    ]
    for drawing in drawings:
        assert overlaps(drawing) == []
        assert outside(drawing) == []


def test_equal_savings_are_level_and_end_on_scratchs_line(study):
    """A saving's dashes start at the method's diamond and end on scratch's curve."""
    drawing = budgets_chart(study, savings_of(study), WIDE)
    dashes = [line for line in elements(drawing, "polyline") if line.get("stroke-dasharray")]
    lines = [line for line in elements(drawing, "polyline") if not line.get("stroke-dasharray")]
    scratch = max((points(line) for line in lines), key=lambda found: found[-1][0])
    assert len(dashes) == 2
    for dash in dashes:
        (left, top), (right, level) = points(dash)
        assert level == top and right > left
        (x1, y1), (x2, y2) = next(
            (a, b) for a, b in pairwise(scratch) if a[0] <= right <= b[0] + 0.01
        )
        assert y1 + (right - x1) / (x2 - x1) * (y2 - y1) == pytest.approx(level, abs=0.1)


def points(line):
    return [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]


def test_files(study, tmp_path):
    written = write_saving_report(study, savings_of(study), tmp_path)
    names = ["runs.csv", "accuracy_vs_flops.svg", "accuracy_vs_ratio.svg", "saving.json"]
    assert [path.name for path in written] == names
    rows = list(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text())))
    assert len(rows) == 3 * (len(CURVE) + len(GROWN))
    assert {row["seed"] for row in rows} == {"0", "1", "2"}
    content = json.loads((tmp_path / "saving.json").read_text())
    two_steps = next(v for v in content["variants"] if v["label"] == "RBDC, 2 steps")
    assert two_steps["saving"]["value"] == "beyond the largest budget"
    assert two_steps["saving"]["most"] == pytest.approx(0.5)


def test_without_a_sweep_there_is_no_third_figure(tmp_path):
    write_study(tmp_path / "runs", CURVE, GROWN[-1:])
    study = read_study([tmp_path / "runs"])
    written = write_saving_report(study, savings_of(study), tmp_path / "out")
    assert "accuracy_vs_ratio.svg" not in [path.name for path in written]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(data="data/other"), "differ in training data: data/cifar10 and data/other"),
        (dict(reference=2e13), r"differ in reference FLOPs: 1e\+13 and 2e\+13"),
        (dict(batch=128), "differ in batch size: 64 and 128"),
    ],
)
def test_refuses_other_studies(tmp_path, change, words):
    write_run(tmp_path / "a", "scratch", 0.5, seed=0, top1=50)
    write_run(tmp_path / "b", "rbdc", 0.5, seed=0, top1=50, **change)
    with pytest.raises(AnalysisError, match=words):
        read_study([tmp_path])


def test_refuses_other_splits(tmp_path):
    for name, method in (("a", "scratch"), ("b", "rbdc")):
        write_run(tmp_path / name, method, 0.5, seed=0, top1=50)
    edit_json(tmp_path / "b" / "test.json", lambda test: test.update(split="val"))
    with pytest.raises(AnalysisError, match="differ in test split: test and val"):
        read_study([tmp_path])


def test_refuses_what_is_no_finished_run(tmp_path):
    with pytest.raises(AnalysisError, match="is not a folder"):
        read_study([tmp_path / "nowhere"])
    with pytest.raises(AnalysisError, match="holds no run"):
        read_study([tmp_path])
    path = write_run(tmp_path / "a", "rbdc", 0.5, seed=0, top1=50)
    (path / "test.json").unlink()
    with pytest.raises(AnalysisError, match=r"a/test.json is missing.*tools/test.py"):
        read_study([tmp_path])
    (path / "mini_1step.json").unlink()
    with pytest.raises(AnalysisError, match=r"a: the run is not finished .*--resume"):
        read_study([tmp_path])


def test_refuses_the_same_run_twice(tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path / name, "scratch", 0.5, seed=0, top1=50)
    with pytest.raises(AnalysisError, match=r"a and .*b are both 'mini_scratch'.* seed 0"):
        read_study([tmp_path])


def test_one_work_dir_named_twice_counts_once(place):
    assert read_study([place, place]) == read_study([place])


def test_refuses_scratch_at_one_budget(tmp_path):
    write_study(tmp_path, {0.5: 48.0}, GROWN[:1])
    with pytest.raises(AnalysisError, match="train scratch at more budgets"):
        savings_of(read_study([tmp_path]))
