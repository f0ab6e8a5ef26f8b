"""Runs of a study as jobs of a scheduler: sent once, in order, stopped with 75 and requeued."""

import json
import re
import threading
import time
from pathlib import Path

import pytest

submitit = pytest.importorskip("submitit")

from mmrbdc.studies.cluster import Queue, require_slurm, slurm_executor  # noqa: E402
from mmrbdc.studies.jobs import Job, run_jobs  # noqa: E402
from tests.studies.fake_slurm import FakeSlurm  # noqa: E402

TRAINING = """
import pathlib, signal, sys, time

folder = pathlib.Path(sys.argv[1])
folder.mkdir(exist_ok=True)
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
(folder / "started").open("a").write("x")
steps = folder / "steps"
for step in range(len(steps.read_text()) if steps.exists() else 0, int(sys.argv[2])):
    steps.open("a").write("x")
    if asked:
        sys.exit(75)
    time.sleep(0.05)
(folder / "test.json").write_text("{}")
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    cluster = FakeSlurm(tmp_path / "cluster")
    monkeypatch.setenv("PATH", cluster.path)
    monkeypatch.setattr("mmrbdc.studies.cluster._ASK", 0.5)
    return cluster


@pytest.fixture
def job(tmp_path):
    script = tmp_path / "train_slowly.py"
    script.write_text(TRAINING)

    def make(name, steps=3, *, command=None, **more):
        folder = tmp_path / "study" / name
        commands = [command or [str(script), str(folder), str(steps)]]
        return Job(folder, commands, 1.0, result="test.json", **more)

    return make


@pytest.fixture
def queue(tmp_path, slurm, monkeypatch):
    monkeypatch.setattr("mmrbdc.studies.cluster._POLL", 0.1)

    def make():
        executor = slurm_executor(tmp_path / "study", "gpu", gpus=2, cpus=18, hours=1.5)
        return Queue(executor, "digits", 1)

    return make


def _wait(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _follow(queue, *jobs):
    return run_jobs(jobs, at_a_time=len(jobs), interrupt=queue.leave)


def test_runs_become_jobs_with_what_was_asked_for(slurm, queue, job, capsys):
    opened = queue()
    first, other = job("first"), job("other")
    sent = opened.send(first)
    assert _follow(opened, sent, opened.send(other, sent)) == []
    assert first.done and other.done
    one, two = slurm.scripts
    for option in ("partition=gpu", "time=90", "gres=gpu:2", "cpus-per-task=18", "requeue",
                   "job-name=digits-first", "signal=USR2@120", "ntasks-per-node=1"):  # fmt: skip
        assert re.search(rf"^#SBATCH --{option}$", one, re.M), option
    assert "dependency" not in one and "#SBATCH --dependency=afterany:1\n" in two
    out = capsys.readouterr().out
    assert "first: job 1\n" in out and re.search(r"\[2/2\] \w+: finished in", out)
    # Finished runs are sent no more.
    again = queue()
    assert again.send(first) is first and len(slurm.scripts) == 2


@pytest.mark.parametrize("name", [pytest.param("SIGTERM", marks=pytest.mark.slow), "SIGUSR2"])
def test_a_job_that_is_stopped_saves_and_is_requeued(tmp_path, slurm, queue, job, name):
    """By preemption or the end of its time; all processes of the job are signalled."""
    opened, run = queue(), job("run", 200)
    sent = opened.send(run)
    steps = run.folder / "steps"
    _wait(lambda: steps.exists() and len(steps.read_text()) > 5)
    slurm.signal("1", name)
    _wait(lambda: slurm.requeued == ["1"])
    _wait(lambda: (run.folder / "started").read_text() == "xx")
    after = len(steps.read_text())
    assert 5 < after < 200 and not run.done
    steps.write_text("x" * 199)  # nearly through
    slurm.signal("1", name)
    _wait(lambda: len(slurm.requeued) == 2 or run.done)
    assert _follow(opened, sent) == [] and run.done
    log = run.log.read_text()
    assert "Traceback" not in log, log


@pytest.mark.slow
def test_a_run_that_fails_is_told_and_those_behind_it_begin(slurm, queue, job, capsys, tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("print('error: no data')\nraise SystemExit(2)\n")
    opened = queue()
    failing = job("failing", command=[str(bad)])
    sent = opened.send(failing)
    failed = _follow(opened, sent, opened.send(job("behind"), sent))
    assert [one.folder.name for one in failed] == ["failing"]
    assert slurm.requeued == []
    assert re.search(r"failing: FAILED in \S+ min: no data", capsys.readouterr().out)


def test_jobs_in_the_queue_are_followed_again_and_not_sent_twice(slurm, queue, job, capsys):
    opened, run = queue(), job("run", 100)
    sent = opened.send(run)
    thread = threading.Timer(0.5, opened.leave)
    thread.start()
    assert [one.folder.name for one in _follow(opened, sent)] == ["run"]  # left, not finished
    thread.join()
    out = capsys.readouterr().out
    assert "The jobs stay in the queue" in out and "--resume" in out
    again = queue()
    sent = again.send(run)
    assert "run: in the queue already, job 1" in capsys.readouterr().out
    assert len(slurm.scripts) == 1
    assert _follow(again, sent) == [] and run.done


@pytest.mark.slow
def test_a_job_that_is_gone_is_sent_anew(slurm, queue, job):
    opened, run = queue(), job("run")
    opened.send(run)
    _wait(lambda: (slurm.folder / "1.state").read_text() == "COMPLETED")
    (run.folder / "test.json").unlink()
    again = queue()
    assert _follow(again, again.send(run)) == []
    assert len(slurm.scripts) == 2 and json.loads(again.path.read_text()) == {"run": "2"}


def test_a_job_that_is_cancelled_saves_and_does_not_come_back(slurm, queue, job, capsys):
    opened, run = queue(), job("run", 200)
    sent = opened.send(run)
    steps = run.folder / "steps"
    _wait(lambda: steps.exists() and len(steps.read_text()) > 5)
    slurm.cancel("1")
    assert [one.folder.name for one in _follow(opened, sent)] == ["run"]
    assert slurm.requeued == [] and (run.folder / "started").read_text() == "x"
    out = capsys.readouterr().out
    assert "run: see" in out and "slurm/1_0_log.out" in out


def test_slurm_that_does_not_answer_is_asked_again_not_sent_twice(slurm, queue, job):
    opened, run = queue(), job("run", 30)
    sent = opened.send(run)
    (slurm.folder / "down").touch()
    with pytest.raises(ValueError, match="Unable to contact slurm controller; try again"):
        queue().send(run)
    assert len(slurm.scripts) == 1
    back = threading.Timer(3, (slurm.folder / "down").unlink)
    back.start()
    assert _follow(opened, sent) == []  # whoever follows waits for it
    back.join()


def test_a_job_that_slurm_refuses_is_one_line(slurm, queue, job):
    (slurm.folder / "refuses").touch()
    with pytest.raises(ValueError, match="Slurm does not take run: .*invalid partition"):
        queue().send(job("run"))


@pytest.mark.slow
def test_submitits_own_local_executor(tmp_path, job, monkeypatch):
    """Stopped in the middle, put back by submitit, and finished."""
    monkeypatch.setattr("mmrbdc.studies.cluster._POLL", 0.1)
    executor = submitit.LocalExecutor(tmp_path / "local")
    executor.update_parameters(timeout_min=5)
    opened = Queue(executor, "digits", is_there=lambda sent: not sent.done())
    run = job("run", 60)
    sent = opened.send(run)
    steps = run.folder / "steps"
    _wait(lambda: steps.exists() and len(steps.read_text()) > 5)
    sent.sent._process.terminate()
    assert _follow(opened, sent) == [] and run.done
    assert (run.folder / "started").read_text() == "xx"


def test_without_slurm_or_submitit_nothing_is_begun(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="no sbatch and no srun .*login node .*--jobs"):
        require_slurm()
    monkeypatch.setattr("mmrbdc.studies.cluster.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install submitit"):
        require_slurm()


def test_several_processes_are_started_by_torchrun(tmp_path, monkeypatch):
    from mmrbdc.studies import scheduled

    calls = []

    class Ended:
        def __init__(self, command, **_) -> None:
            calls.append(command)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(scheduled.subprocess, "Popen", Ended)
    commands = scheduled._Commands(4)
    for tool in ("train.py", "test.py"):
        assert commands([f"tools/{tool}", "c.py"], tmp_path / "log") == 0
    assert calls[0][1:] == ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4",
                            "tools/train.py", "c.py", "--launcher", "pytorch"]  # fmt: skip
    assert calls[1][1:] == ["tools/test.py", "c.py"]
    assert Path(calls[0][0]).name.startswith("python")
