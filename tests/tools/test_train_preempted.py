"""Schedulers: SIGTERM to a whole job, a second job in the work dir, members as an array of jobs."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mmrbdc.processes import EXIT_PREEMPTED
from mmrbdc.weights import read_checkpoint

ROOT = Path(__file__).parents[2]
NAME = "deit-micro_2step_digits"


def final(work_dir):
    return read_checkpoint(work_dir / f"{NAME}.pth").state_dict


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.fixture
def started(tiny):
    """Starts tools/train.py in a process group of its own and waits for a line of its log."""
    processes = []

    def start(work_dir, line, *more):
        log = tiny.place / f"{work_dir.name}.log"
        with open(log, "w") as out:
            process = subprocess.Popen(
                [sys.executable, ROOT / "tools" / "train.py", *tiny.arguments(work_dir, *more)],
                cwd=tiny.place,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        processes.append(process)
        end = time.monotonic() + 120
        while line not in log.read_text():
            assert process.poll() is None and time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.02)
        return process, log

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_sigterm_to_the_whole_job_saves_and_resume_ends_the_same(tiny, finished, started):
    """Data workers get the signal too, as from Slurm; the epoch has five iterations."""
    work_dir = tiny.place / "work_dirs" / "preempted"
    process, log = started(work_dir, "stage 1 of 3: 50% done")
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == EXIT_PREEMPTED, log.read_text()[-3000:]
    saved = [path.name for path in (work_dir / "stage0_4x24").glob("epoch_1_iter_*.pth")]
    assert len(saved) == 1 and "SIGTERM: wrote" in log.read_text()
    done = tiny.tool("train.py", *tiny.arguments(work_dir, "--resume"))
    assert f"resumed from {work_dir}/stage0_4x24/{saved[0]}" in done.stdout
    assert equal(final(work_dir), final(finished))


def test_a_second_process_in_the_work_dir_is_refused(tiny, started):
    work_dir = tiny.place / "work_dirs" / "shared"
    process, _ = started(work_dir, "stage 1 of 3: 8% done")
    os.killpg(process.pid, signal.SIGSTOP)  # or it is through first where the machine is busy
    done = tiny.tool("train.py", *tiny.arguments(work_dir, "--resume"), code=2)
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith(f"error: {work_dir} is in use by process {process.pid} on ")


SBATCH = """#!/usr/bin/env bash
# Stands for Slurm's: runs a job's array at once, one task after another, and notes its arguments.
array=0 job=$(($(cat "$PLACE/jobs" 2>/dev/null | wc -l) + 1))
echo "$@" >> "$PLACE/jobs"
while [ $# -gt 0 ]; do
    case $1 in --array=*) array=${1#--array=} ;; --wrap) wrap=$2 ;; esac
    shift
done
for task in $(seq "${array%-*}" "${array#*-}"); do
    SLURM_JOB_ID=$job SLURM_ARRAY_TASK_ID=$task bash -c "$wrap" >> "$PLACE/log" 2>&1 || exit 1
done
echo "$job"
"""
SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""


@pytest.mark.slow
def test_slurm_members_as_arrays_junctions_as_dependencies(tiny, finished, tmp_path):
    for name, content in (("sbatch", SBATCH), ("srun", SRUN)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(stat.S_IRWXU)
    work_dir = tiny.place / "work_dirs" / "slurm"
    config, _, _, *options = tiny.arguments(work_dir)
    tiny.run(
        *[ROOT / "tools" / "slurm_train.sh", "gpu", "rbdc", config, work_dir, *options],
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        PLACE=str(tmp_path),
        APART="1",
        timeout=900,
    )
    jobs = (tmp_path / "jobs").read_text().splitlines()
    assert len(jobs) == 4 and all("--requeue --signal=TERM@120" in job for job in jobs)
    assert ["--array=0-3" in jobs[0], "--array=0-1" in jobs[1], "--array=0-0" in jobs[2]] == [
        True
    ] * 3
    assert "--dependency" not in jobs[0] and "--array" not in jobs[3]
    for number in (1, 2, 3):
        assert f"--dependency=afterok:{number} " in jobs[number]
    assert equal(final(work_dir), final(finished)), (tmp_path / "log").read_text()[-3000:]
    assert (work_dir / "stage2_1x96" / "junction.json").is_file()
