"""docs/add_an_operator.md's complete example, read from the page and run as it says."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmrbdc.datasets.made.digits import make_digits

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add_an_operator.md").read_text().partition("## A complete example")[2]
OPERATOR, LINE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[:2]
STUDY = """
study = dict(
    recipe="configs/baselines/deit-micro_scratch_digits.py",
    options={{"protocol.reference_epochs": 4, "protocol.train_samples": 100}},
    seeds=[0],
    budgets=[1.0],
    methods={{"rbdc": dict(stages=[(2, "1/2"), (1, 1)]), "scratch": {{}}, {line}}},
)
"""


@pytest.fixture
def place(tmp_path):
    """A folder of one's own with the operator, a study that has its line, and a few digits."""
    (tmp_path / "noisy_coupling.py").write_text(OPERATOR)
    (tmp_path / "my_study.py").write_text(STUDY.format(line=LINE.strip()))
    make_digits(tmp_path / "digits", counts=dict(train=100, val=20, test=20))
    return tmp_path


def run(place, *more):
    data = [f"{s}_dataloader.dataset.data_root=digits" for s in ("train", "val", "test")]
    command = [sys.executable, str(ROOT / "tools/study.py"), "my_study.py", *more]
    # An editable install may know the repository through PYTHONPATH only.
    path = os.pathsep.join(filter(None, [".", os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [*command, "--cfg-options", *data],
        cwd=place,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_it_is_short():
    assert len(OPERATOR.splitlines()) < 60 and len(LINE.strip().splitlines()) == 1


def test_it_becomes_a_row_of_the_study(place):
    done = run(place)
    assert done.returncode == 0, done.stdout + done.stderr
    with (place / "work_dirs/studies/my_study/runs.csv").open() as file:
        rows = {row["label"]: row for row in csv.DictReader(file)}
    flops = [float(row["train_flops"]) for row in rows.values()]
    assert len(rows) == 3 and max(flops) / min(flops) < 1.15  # of 8 iterations
    assert any("noisy-coupling" in label for label in rows)
    assert "noisy-coupling" in (place / "work_dirs/studies/my_study/study.html").read_text()


def test_a_module_that_is_not_there_is_named(place):
    (place / "noisy_coupling.py").unlink()
    done = run(place)
    assert done.returncode == 2
    assert "noisy_coupling" in done.stderr and "PYTHONPATH" in done.stderr
    assert not (place / "work_dirs").exists()
