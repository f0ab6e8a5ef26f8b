"""docs/add_a_method.md's complete example, read from the page and run as it says."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

from mmrbdc.datasets.made.digits import make_digits

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add_a_method.md").read_text().partition("## A complete example")[2]
METHOD, LINE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[:2]
STUDY = """
study = dict(
    recipe="configs/baselines/deit-micro_scratch_digits.py",
    options={{"protocol.reference_epochs": 4, "protocol.train_samples": 100}},
    seeds=[0],
    budgets=[1.0],
    methods={{"scratch": {{}}, {line}}},
)
"""


def test_it_becomes_a_row_of_the_study(tmp_path):
    (tmp_path / "growing_images.py").write_text(METHOD)
    (tmp_path / "my_study.py").write_text(STUDY.format(line=LINE.strip()))
    make_digits(tmp_path / "digits", counts=dict(train=100, val=20, test=20))
    data = [f"{s}_dataloader.dataset.data_root=digits" for s in ("train", "val", "test")]
    command = [sys.executable, str(ROOT / "tools/study.py"), "my_study.py", "--cfg-options", *data]
    # An editable install may know the repository through PYTHONPATH only.
    path = os.pathsep.join(filter(None, [".", os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "work_dirs/studies/my_study"
    with (folder / "runs.csv").open() as file:
        flops = [float(row["train_flops"]) for row in csv.DictReader(file)]
    assert len(flops) == 2 and max(flops) / min(flops) < 1.15  # of few iterations
    assert "one model of the full width on growing images" in (folder / "study.html").read_text()
