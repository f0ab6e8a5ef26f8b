"""tools/study.py --slurm on a stand-in for a cluster ends as on one machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mmrbdc.weights import read_checkpoint
from tests.studies.fake_slurm import FakeSlurm

pytest.importorskip("submitit")
ROOT = Path(__file__).parents[2]
STUDY = """
study = dict(
    recipe={recipe!r},
    options={{
        "protocol.train_samples": 40,
        "protocol.reference_epochs": 12,
        "train_dataloader.batch_size": 8,
        "train_dataloader.num_workers": 0,
        "train_dataloader.persistent_workers": False,
    }},
    seeds=[0],
    budgets=[1.0],
    methods={{
        "net2net": dict(stages=[(1, "1/2"), (1, 1)]),
        "tiling": dict(stages=[(1, "1/2"), (1, 1)]),
    }},
)
"""


@pytest.fixture
def study(tiny):
    config = tiny.place / "on_slurm.py"
    recipe = ROOT / "configs" / "baselines" / "deit-micro_scratch_digits.py"
    config.write_text(STUDY.format(recipe=str(recipe)))
    return config


def _weights(folder):
    return {
        f"{path.relative_to(folder)} {key}": tensor
        for path in sorted(folder.rglob("*.pth"))
        if "grown" not in path.parts and not path.name.startswith("epoch_")
        for key, tensor in read_checkpoint(path).state_dict.items()
    }


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_study_that_is_preempted_and_left_ends_as_on_one_machine(tiny, study, tmp_path):
    slurm = FakeSlurm(tmp_path / "cluster")
    here, there = tiny.place / "here", tiny.place / "there"
    tool = ROOT / "tools" / "study.py"
    tiny.run(sys.executable, tool, study, "--work-dir", here, timeout=600)
    ask = [sys.executable, tool, study, "--work-dir", there, "--slurm", "gpu"]
    ask += ["--gpus-per-run", "0", "--hours", "2"]
    environ = {**os.environ, "PATH": slurm.path, "OMP_NUM_THREADS": "1"}
    with open(tmp_path / "log", "w") as log:
        follower = subprocess.Popen([*map(str, ask)], cwd=tiny.place, env=environ, stdout=log,
                                    stderr=log, start_new_session=True)  # fmt: skip
    first = there / "net2net_budget1_seed0"
    end = time.monotonic() + 300
    while not list(first.rglob("epoch_*.pth")):
        assert time.monotonic() < end, (tmp_path / "log").read_text()
        time.sleep(0.05)
    slurm.signal("1", "SIGTERM")
    os.killpg(follower.pid, signal.SIGINT)
    assert follower.wait(60) == 130
    text = (tmp_path / "log").read_text()
    assert "Traceback" not in text and "The jobs stay in the queue" in text, text
    done = tiny.run(*ask, "--resume", timeout=900, PATH=slurm.path)
    assert "net2net_budget1_seed0: in the queue already, job 1" in done.stdout
    assert slurm.requeued[0] == "1" and len(slurm.scripts) == 2
    assert "--dependency=afterany:1" in slurm.scripts[1] and "gres" not in slurm.scripts[1]
    one, other = _weights(here), _weights(there)
    assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
    assert (there / "study.html").is_file()
    # The second began with a copy of the first's narrow stage.
    log = (there / "tiling_budget1_seed0.log").read_text()
    assert "stage0_1x48: all of 1 member finished" in log
    tiny.run(*ask, "--resume", PATH=slurm.path)  # finished runs are sent no more
    assert len(slurm.scripts) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpus-per-run", "2"], "--gpus-per-run is of a job of Slurm; give --slurm PARTITION"),
        (["--slurm", "gpu", "--jobs", "2"], "--slurm and --jobs exclude each other"),
        (["--slurm", "gpu", "--report-only"], "--slurm and --report-only exclude each other"),
        (["--slurm", "gpu", "--hours", "0.1"], "--hours is 0.1; 0.2 is the least"),
        (["--slurm", "gpu"], "there is no sbatch and no srun and no squeue and no scontrol"),
    ],
)
def test_what_is_refused(tiny, study, words, message):
    command = [ROOT / "tools" / "study.py", study, "--work-dir", tiny.place / "refused", *words]
    tiny.fork(*command, code=2)
    assert (
        message in (tiny.place / "fork.log").read_text() and not (tiny.place / "refused").exists()
    )
