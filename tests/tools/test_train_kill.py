"""`kill -9` at any moment of tools/train.py, then --resume: the weights of an unbroken run.

CPU, fixed seed, one data worker, augmentation and drop-path on. The killed process kills itself,
so that the moments are exact: a ``sitecustomize`` module, put on its path, waits for a file to be
renamed into place or for a line to be logged.
"""

import json
import os
import random
import signal
import subprocess
import sys

import pytest
import torch

from mmrbdc.weights import read_checkpoint

NAME = "deit-micro_2step_digits"
STAGES = ["stage0_4x24", "stage1_2x48", "stage2_1x96"]

KILLER = """
import logging, os, signal

kind, _, what = os.environ["KILL_AT"].partition(" ")
replace, handle = os.replace, logging.Logger.handle


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def replace_or_die(source, target, **options):
    here = os.fspath(target).endswith(what)
    if here and kind == "half":
        os.truncate(source, os.path.getsize(source) // 2)
    if here and kind in ("half", "before"):
        die()
    replace(source, target, **options)
    if here and kind == "after":
        die()


def handle_or_die(self, record):
    handle(self, record)
    if kind == "log" and what in record.getMessage():
        die()


os.replace, logging.Logger.handle = replace_or_die, handle_or_die
"""

MOMENTS = {
    "stage 0, before its first checkpoint": "log stage 1 of 3: 25% done",
    "stage 0, half of a checkpoint is written": "half stage0_4x24/epoch_2.pth",
    "stage 0, two of four members are out": "after stage0_4x24/members/1.pth",
    "stage 0, all members are out, nothing is recorded": "before stage0_4x24/stage.json",
    "junction, scored and not noted": "before stage1_2x48/junction.json",
    "stage 1, before its first checkpoint": "log stage 2 of 3: 30% done",
    "stage 1, after its first checkpoint": "after stage1_2x48/epoch_1.pth",
    "stage 2, in its second epoch": "log stage 3 of 3: 86% done",
    "final model, without its side-car": f"before {NAME}.json",
}


@pytest.fixture(scope="module")
def unbroken(tiny):
    """The work dir of a run that nothing disturbed."""
    work_dir = tiny.place / "unbroken"
    tiny.tool("train.py", *tiny.arguments(work_dir))
    return work_dir


@pytest.fixture
def killer(tmp_path):
    """A folder whose ``sitecustomize`` kills the process that has it on its path."""
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    return tmp_path


def kill_at(moment, tiny, killer, work_dir, *more):
    path = os.pathsep.join([str(killer), os.environ.get("PYTHONPATH", "")])
    arguments = tiny.arguments(work_dir, *more)
    tiny.tool("train.py", *arguments, code=-signal.SIGKILL, KILL_AT=moment, PYTHONPATH=path)


def files(work_dir):
    """Every file of weights and every record, by its name."""
    found = {}
    for path in sorted(work_dir.rglob("*")):
        name = str(path.relative_to(work_dir))
        if path.suffix == ".pth" and "epoch_" not in name:
            found[name] = read_checkpoint(path)
        elif path.suffix == ".json" and "/2" not in name and path.name != "wall.json":
            found[name] = without_times(json.loads(path.read_text()))
    return found


def without_times(record):
    """A record without what may differ: wall time."""
    if isinstance(record, dict):
        return {k: without_times(v) for k, v in record.items() if k not in ("wall_s", "sha256")}
    return [without_times(v) for v in record] if isinstance(record, list) else record


def assert_same_run(work_dir, other):
    ours, theirs = files(work_dir), files(other)
    assert ours.keys() == theirs.keys()
    for name, file in ours.items():
        if name.endswith(".json"):
            assert file == theirs[name], name
        else:
            state, expected = file.state_dict, theirs[name].state_dict
            assert state.keys() == expected.keys()
            differing = [key for key in state if not torch.equal(state[key], expected[key])]
            assert not differing, name


def test_the_unbroken_run(unbroken):
    """All that is compared below is there, and it is a run that learns."""
    found = files(unbroken)
    records = ["stage.json", "curve.json"]
    assert {f"{s}/{r}" for s in STAGES for r in records} <= found.keys()
    assert {f"{s}/junction.json" for s in STAGES[1:]} <= found.keys()
    assert [name for name in found if "members" in name] == [
        f"{stage}/members/{i}.pth" for stage, k in zip(STAGES, (4, 2, 1), strict=True)
        for i in range(k)
    ]
    first, last = (read_checkpoint(unbroken / STAGES[2] / f"epoch_{i}.pth") for i in (1, 2))
    for key, value in found[f"{NAME}.pth"].state_dict.items():
        assert torch.equal(value, last.state_dict[f"members.0.{key}"])
        assert not torch.equal(value, first.state_dict[f"members.0.{key}"])
    entries = found["ledger.json"]["stages"]
    assert [entry["samples"] for entry in entries] == [96, 80, 56]
    planned = found["plan.json"]["total"]["flops"]
    assert found["ledger.json"]["total_flops"] == pytest.approx(planned, rel=0.005)


def test_killed_again_and_again(tiny, unbroken, killer, tmp_path):
    """One run, killed at every moment in turn."""
    work_dir = tmp_path / "killed"
    for moment in MOMENTS.values():
        kill_at(moment, tiny, killer, work_dir, "--resume")
    tiny.tool("train.py", *tiny.arguments(work_dir, "--resume"))
    assert_same_run(work_dir, unbroken)
