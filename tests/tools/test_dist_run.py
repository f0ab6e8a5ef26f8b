"""tools/dist_train.sh and dist_test.sh: what torchrun is asked for, on one machine and several."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
SEVERAL = dict(NNODES="2", NODE_RANK="1", MASTER_ADDR="10.0.0.1", PORT="29501")


def run(name, *arguments, **environ):
    """With ``echo`` as Python, the command line is the output."""
    known = {k: v for k, v in os.environ.items() if k not in SEVERAL}
    return subprocess.run(
        [str(TOOLS / name), *arguments],
        env={**known, "PYTHON": "echo", **environ},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("kind", ["train", "test"])
def test_one_machine_takes_a_free_port(kind):
    words = run(f"dist_{kind}.sh", "config.py", "8", "--seed", "3").stdout.split()
    assert words[:2] == ["-m", "torch.distributed.run"]
    assert "--standalone" in words and "--nproc_per_node=8" in words
    script = words.index(str(TOOLS / f"{kind}.py"))
    assert words[script + 1 :] == ["config.py", "--launcher", "pytorch", "--seed", "3"]


def test_a_port_of_ones_own():
    words = run("dist_train.sh", "config.py", "2", PORT="1234").stdout.split()
    assert "--master_port=1234" in words and "--standalone" not in words
    assert "--nnodes=1" in words and "--node_rank=0" in words


def test_several_machines():
    words = run("dist_train.sh", "config.py", "8", **SEVERAL).stdout.split()
    for word in ("--nnodes=2", "--node_rank=1", "--master_addr=10.0.0.1", "--master_port=29501"):
        assert word in words


@pytest.mark.parametrize("name", ["MASTER_ADDR", "PORT"])
def test_several_machines_without_a_meeting_point(name):
    known = {key: value for key, value in SEVERAL.items() if key != name}
    done = run("dist_train.sh", "config.py", "8", **known)
    assert done.returncode == 2 and name in done.stderr and not done.stdout


@pytest.mark.parametrize("kind", ["train", "test"])
@pytest.mark.parametrize("number", ["two", "0", "-1", "2.0", "1e1", "--seed", "", "4 "])
def test_processes_that_are_no_number(kind, number):
    done = run(f"dist_{kind}.sh", "config.py", number)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(f"error: PROCESSES is '{number}'")
    assert len(done.stderr.splitlines()) == 1


def test_the_command_that_is_shown_can_be_pasted():
    done = run("dist_train.sh", "my configs/a [1].py", "all")
    words = shlex.split(done.stderr.rpartition(": ")[2])
    assert words == ["tools/dist_train.sh", "my configs/a [1].py", "8"]


@pytest.mark.parametrize("number", ["1", "10", "gpu"])
def test_processes_that_are_one(number):
    assert f"--nproc_per_node={number}" in run("dist_train.sh", "config.py", number).stdout


def test_too_few_arguments():
    done = run("dist_train.sh", "config.py")
    assert done.returncode == 2 and "usage: tools/dist_train.sh CONFIG PROCESSES" in done.stderr
