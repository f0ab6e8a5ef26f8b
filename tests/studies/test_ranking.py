"""The ranking at one budget: order, what each method is compared with, what is off the budget."""

import shutil

import pytest
from run_dirs import edit_json
from study_dirs import write_run

from mmrbdc.analysis.study import read_study
from mmrbdc.growth import OPERATORS
from mmrbdc.studies.methods import METHODS
from mmrbdc.studies.ranking import rank
from mmrbdc.studies.report import write_study_report

TOP1 = {"rbdc": 60.0, "rbdc-1step": 70.0, "scratch": 50.0, "net2net": 65.0}


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


def test_the_best_mean_comes_first_and_other_budgets_are_left_out(study):
    places = rank(study, 1.0)
    assert [p.variant.name for p in places] == ["rbdc-1step", "net2net", "rbdc", "scratch"]
    assert [p.variant.name for p in rank(study, 0.5)] == ["scratch"]


def test_differences_are_to_what_the_study_calls_rbdc(study):
    places = {p.variant.name: p for p in rank(study, 1.0)}
    assert set(places["rbdc"].differences) == {"scratch"}
    for name in ("rbdc-1step", "scratch", "net2net"):
        found = places[name].differences["rbdc"]
        assert found.spread.mean == pytest.approx(TOP1[name] - 60 + (name == "scratch"))
    assert places["scratch"].differences["rbdc"].differences == pytest.approx((-10, -9, -8))


def test_a_method_off_the_budget_is_told(study):
    off = {p.variant.name for p in rank(study, 1.0) if not p.on_budget}
    assert off == {"net2net"}


def test_what_the_rows_do_not_say_is_told(study, tmp_path):
    edit = {"growth_flops": 2e12}
    for seed in range(3):
        plan = tmp_path / f"net2net{seed}" / "plan.json"
        edit_json(plan, lambda plan: plan["stages"][1].update(edit))
    shutil.rmtree(tmp_path / "rbdc-1step2")
    study = read_study([tmp_path])
    places = rank(study, 1.0)
    write_study_report(study, places, ["rbdc-1step_seed2"], tmp_path / "out")
    for text in ((tmp_path / "out" / name).read_text() for name in ("ranking.md", "study.html")):
        assert "net2net, 1 step spent 102.0% of the budget" in text
        assert "net2net, 1 step spent 20% of its FLOPs on the images" in text
        assert "not all seeds are there" in text and "RBDC, 1 step: 2 of 3" in text
        assert "Differences are to RBDC, 2 steps and scratch" in text
        assert "not finished and left out: rbdc-1step_seed2" in text
        assert "6 comparisons stand here" in text and "below 0.0083" in text


def test_every_operator_that_is_shipped_is_described_to_readers():
    assert METHODS.keys() == {"rbdc", "scratch", *OPERATORS} - {"block-diagonal"}
