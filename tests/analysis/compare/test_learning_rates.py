"""The learning rate of a row is the validation's choice, and every row had the same ones."""

from mmrbdc.analysis import (
    analyse,
    collect,
    report_html,
)
from mmrbdc.analysis.reports.table import WIDTH as COLUMNS
from tests.analysis.detector_case import QUALITY, make_run, printed
from tests.analysis.run_dirs import (
    edit_json,
)


def test_the_best_learning_rate_by_validation_is_shown_and_the_grid_with_it(detectors, capsys):
    findings = analyse(collect([detectors]), resamples=2)
    assert [{row.lr for row in group.rows} for group in findings.groups] == [{1e-3}, {1e-3}]
    assert [len(group.grid) for group in findings.groups] == [4, 4]
    assert findings.warnings == ()
    text = printed(findings, capsys)
    assert "Learning rates" in text and text.count(" 0.01 ") == 2
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_a_better_test_score_does_not_choose_the_rate(tmp_path):
    """The twin: the validation says otherwise, and only without it the test score decides."""
    good, bad = make_run(tmp_path, lr=1e-3, val=0.3), make_run(tmp_path, lr=1e-2, val=0.1)
    edit_json(good / "test.json", lambda t: t.update(bbox_mAP=0.1))
    edit_json(bad / "test.json", lambda t: t.update(bbox_mAP=0.9))
    found = analyse(collect([tmp_path]), resamples=0)
    assert found.groups[0].rows[0].lr == 1e-3 and not found.warnings
    (bad / "val.json").unlink()
    found = analyse(collect([tmp_path]), resamples=0)
    assert found.groups[0].rows[0].lr == 1e-2
    assert "chosen by the very AP that is reported" in found.warnings[0]


def test_rows_with_different_grids_are_warned_of(tmp_path, capsys):
    make_run(tmp_path, "rbdc", lr=1e-3), make_run(tmp_path, "rbdc", lr=1e-2)
    make_run(tmp_path, "random", lr=1e-3)
    findings = analyse(collect([tmp_path]), resamples=0)
    (warning,) = findings.warnings
    assert "RBDC 0.001, 0.01; random 0.001" in warning
    assert "not given the same learning rates" in printed(findings, capsys).replace("\n", " ")
    assert "not given the same learning rates" in report_html(findings)


def test_a_rate_with_fewer_seeds_is_warned_of(tmp_path):
    for method in QUALITY:
        make_run(tmp_path, method, 0), make_run(tmp_path, method, 0, lr=1e-2)
    make_run(tmp_path, "rbdc", 1)
    (warning,) = analyse(collect([tmp_path]), resamples=0).warnings
    assert "RBDC has 2 at 0.001, 1 at 0.01" in warning
