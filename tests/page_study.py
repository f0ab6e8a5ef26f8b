"""A study of somebody's own, as a page of the docs says, in a folder with a few digits."""

import os
import subprocess
import sys
from pathlib import Path

from mmrbdc.datasets.made.digits import make_digits

ROOT = Path(__file__).parents[1]
STUDY = """
study = dict(
    recipe="configs/baselines/deit-micro_scratch_digits.py",
    options={{"protocol.reference_epochs": 4, "protocol.train_samples": 100}},
    seeds=[0],
    budgets=[1.0],
    methods={{{methods}}},
)
"""


def make_place(place, module, code, methods):
    """Write the module, a study that has these methods, and the digits."""
    (place / module).write_text(code)
    (place / "my_study.py").write_text(STUDY.format(methods=methods))
    make_digits(place / "digits", counts=dict(train=100, val=20, test=20))


def run_study(place, *more):
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
