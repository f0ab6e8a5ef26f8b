"""docs/add_a_method.md's complete example, read from the page and run as it says."""

import csv
import re

from tests.page_study import ROOT, make_place, run_study

PAGE = (ROOT / "docs" / "add_a_method.md").read_text().partition("## A complete example")[2]
METHOD, LINE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[:2]


def test_it_becomes_a_row_of_the_study(tmp_path):
    make_place(tmp_path, "growing_images.py", METHOD, f'"scratch": {{}}, {LINE.strip()}')
    done = run_study(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "work_dirs/studies/my_study"
    with (folder / "runs.csv").open() as file:
        flops = [float(row["train_flops"]) for row in csv.DictReader(file)]
    assert len(flops) == 2 and max(flops) / min(flops) < 1.15  # of few iterations
    assert "one model of the full width on growing images" in (folder / "study.html").read_text()
