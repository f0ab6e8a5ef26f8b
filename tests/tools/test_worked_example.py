"""docs/add_an_operator.md's complete example, read from the page and run as it says."""

import csv
import re

import pytest

from tests.page_study import ROOT, make_place, run_study

PAGE = (ROOT / "docs" / "add_an_operator.md").read_text().partition("## A complete example")[2]
OPERATOR, LINE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[:2]
ROWS = '"rbdc": dict(stages=[(2, "1/2"), (1, 1)]), "scratch": {}, '


@pytest.fixture
def place(tmp_path):
    """A folder of one's own with the operator, a study that has its line, and a few digits."""
    make_place(tmp_path, "noisy_coupling.py", OPERATOR, ROWS + LINE.strip())
    return tmp_path


def test_it_is_short():
    assert len(OPERATOR.splitlines()) < 60 and len(LINE.strip().splitlines()) == 1


def test_it_becomes_a_row_of_the_study(place):
    done = run_study(place)
    assert done.returncode == 0, done.stdout + done.stderr
    with (place / "work_dirs/studies/my_study/runs.csv").open() as file:
        rows = {row["label"]: row for row in csv.DictReader(file)}
    flops = [float(row["train_flops"]) for row in rows.values()]
    assert len(rows) == 3 and max(flops) / min(flops) < 1.15  # of 8 iterations
    assert any("noisy-coupling" in label for label in rows)
    assert "noisy-coupling" in (place / "work_dirs/studies/my_study/study.html").read_text()


def test_a_module_that_is_not_there_is_named(place):
    (place / "noisy_coupling.py").unlink()
    done = run_study(place)
    assert done.returncode == 2
    assert "noisy_coupling" in done.stderr and "PYTHONPATH" in done.stderr
    assert not (place / "work_dirs").exists()
