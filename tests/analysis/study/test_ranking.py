"""The ranking at one budget: order, what each method is compared with, what is off the budget."""

import io
import shutil

import pytest
from rich.console import Console

from mmrbdc.analysis.reports.study_page import ranking_table, write_study_report
from mmrbdc.analysis.study.ranking import rank
from mmrbdc.analysis.study.variants import read_study
from tests.analysis.growing_dirs import GROWING, SEARCHING, write_growing
from tests.analysis.run_dirs import edit_json
from tests.analysis.study_dirs import REFERENCE, complete, write_run

TOP1 = {"rbdc": 60.0, "rbdc-1step": 70.0, "scratch": 50.0, "net2net": 65.0}


@pytest.fixture
def planned(tmp_path):
    """Work dirs at the full budget, by method."""
    return {name: [tmp_path / f"{name}{seed}" for seed in range(3)] for name in TOP1}


@pytest.fixture
def study(tmp_path):
    """Three seeds of four methods; RBDC with two steps is the study's ``rbdc``."""
    for seed in range(3):
        for name, top1 in TOP1.items():
            method, _, _ = name.partition("-")
            steps = 2 if name == "rbdc" else 1
            write_run(
                tmp_path / f"{name}{seed}", method, 1.0 + 0.02 * (name == "net2net"), seed=seed,
                top1=top1 + seed * (1 + (name == "scratch")), steps=steps, name=name,
            )  # fmt: skip
        write_run(tmp_path / f"half{seed}", "scratch", 0.5, seed=seed, top1=45.0, name="scratch")
    return read_study([tmp_path])


def test_the_best_mean_comes_first_and_other_budgets_are_left_out(study, planned, tmp_path):
    ranking = rank(study, 1.0, planned)
    assert [p.variant.name for p in ranking.places] == ["rbdc-1step", "net2net", "rbdc", "scratch"]
    half = {"scratch": [tmp_path / f"half{seed}" for seed in range(3)], "rbdc": []}
    ranking = rank(study, 0.5, half)
    assert [(p.variant.name, p.variant.share) for p in ranking.places] == [("scratch", 0.5)]
    assert ranking.unranked == ("rbdc",)


def test_differences_are_to_what_the_study_calls_rbdc(study, planned):
    places = {p.variant.name: p for p in rank(study, 1.0, planned).places}
    assert set(places["rbdc"].differences) == {"scratch"}
    for name in ("rbdc-1step", "scratch", "net2net"):
        found = places[name].differences["rbdc"]
        assert found.spread.mean == pytest.approx(TOP1[name] - 60 + (name == "scratch"))
    assert places["scratch"].differences["rbdc"].differences == pytest.approx((-10, -9, -8))


@pytest.mark.parametrize("far", [0.02, 0.5])
def test_one_run_off_the_budget_is_told_however_far(study, planned, tmp_path, far):
    """Whichever seed's; a run far away stays in its row."""
    for name, field in (("ledger.json", "total_flops"), ("scratch.json", "train_flops")):
        spent = {field: (1 + far) * REFERENCE}
        edit_json(tmp_path / "scratch2" / name, lambda content, spent=spent: content.update(spent))
    ranking = rank(read_study([tmp_path]), 1.0, planned)
    off = {p.variant.name: p.off for p in ranking.places if not p.on_budget}
    assert off == pytest.approx({"net2net": 0.02, "scratch": far})


def test_holes_are_rows(study, planned, tmp_path):
    """A run that is missing, a method of which all are, a method at other budgets only."""
    planned |= {"tiling": [tmp_path / f"tiling{seed}" for seed in range(3)], "aki": []}
    shutil.rmtree(tmp_path / "rbdc-1step2")
    ranking = rank(read_study([tmp_path]), 1.0, planned, ["rbdc-1step2", "tiling0"])
    assert (ranking.holes, ranking.unranked) == (("tiling",), ("aki",))
    terminal = Console(width=140, record=True, file=io.StringIO())
    terminal.print(ranking_table(study, ranking))
    write_study_report(study, ranking, tmp_path / "out")
    page, table = ((tmp_path / "out" / n).read_text() for n in ("study.html", "ranking.md"))
    for text in (terminal.export_text(), page, table):
        assert "no finished run" in text and "70.5 ± 0.7 (2 of 3)" in text
        assert "not finished and left out: rbdc-1step2, tiling0" in text
        assert "not trained at this budget and therefore not ranked: aki" in text


def test_what_the_rows_do_not_say_is_told(study, planned, tmp_path):
    edit = {"growth_flops": 2e12}
    for seed in range(3):
        plan = tmp_path / f"net2net{seed}" / "plan.json"
        edit_json(plan, lambda plan: plan["stages"][1].update(edit))
    shutil.rmtree(tmp_path / "rbdc-1step2")
    study = read_study([tmp_path])
    ranking = rank(study, 1.0, planned, ["rbdc-1step_seed2"])
    write_study_report(study, ranking, tmp_path / "out")
    for text in ((tmp_path / "out" / name).read_text() for name in ("ranking.md", "study.html")):
        assert "net2net, 1 step spent 102.0% of the budget" in text
        assert "net2net, 1 step spent 20% of its FLOPs on the images" in text
        assert "not all seeds are there" in text
        assert "Differences are to RBDC, 2 steps and scratch" in text
        assert "not finished and left out: rbdc-1step_seed2" in text
        # Three to RBDC, three to scratch, of which RBDC against scratch is one and the same.
        assert "for the 5 comparisons" in text and "below 0.01, which 3 seeds cannot" in text
        assert "With 3 seeds it cannot be below 0.25" in text


def test_what_searches_found_is_drawn(study, planned, tmp_path):
    """Of rows that search only; seeds that found otherwise apart."""
    rows = {"autoprog": SEARCHING, "progressive": GROWING}
    for method, stages in rows.items():
        planned[method] = [tmp_path / f"{method}{seed}" for seed in range(3)]
        for seed, path in enumerate(planned[method]):
            own = [list(stage) for stage in stages]
            own[-1][2] = REFERENCE * (1 - 0.004 * seed) - sum(stage[2] for stage in own[:-1])
            if seed == 2 and method == "autoprog":
                own[3][1] = 24
            write_growing(path, name=method, method=method, stages=own, seed=seed)
            complete(path)
    study = read_study([tmp_path])
    ranking = rank(study, 1.0, planned)
    (found,) = (p for p in ranking.places if p.variant.method == "autoprog")
    assert len(found.variant.runs) == 3 and found.variant.ratio is None  # one row all the same
    write_study_report(study, ranking, tmp_path / "out")
    text = (tmp_path / "out" / "study.html").read_text()
    assert "Depth and image size" in text and "search 1: 9 sub-nets" in text
    assert "AutoProg: autoprog, seeds 0, 1" in text and "AutoProg: autoprog, seed 2" in text
    drawn = {path.name for path in (tmp_path / "out").glob("progression-*")}
    assert drawn == {"progression-autoprog-autoprog.svg", "progression-autoprog-autoprog-2.svg"}
