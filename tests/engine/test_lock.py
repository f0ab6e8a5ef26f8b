"""One process at a time in a folder."""

import os
import subprocess
import sys

import pytest

from mmrbdc.engine.lock import Locked, lock_folder, unlock_folder

HOLD = """
import sys
from mmrbdc.engine.lock import lock_folder
lock_folder(sys.argv[1], shared=sys.argv[2] == "True")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds ``tmp_path``; call it with ``shared``."""
    started = []

    def start(shared):
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", HOLD, tmp_path, str(shared)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline().strip() == "held"
        return process

    yield start
    for process in started:
        process.communicate()
    unlock_folder(tmp_path)


@pytest.mark.parametrize("theirs, ours", [(False, False), (False, True), (True, False)])
def test_a_second_process_is_refused_and_told_who_is_there(tmp_path, holder, theirs, ours):
    process = holder(theirs)
    with pytest.raises(Locked, match=rf"in use by process {process.pid} on .*--work-dir"):
        lock_folder(tmp_path, shared=ours)


def test_shared_locks_go_together(tmp_path, holder):
    holder(True)
    lock_folder(tmp_path, shared=True)


def test_a_killed_process_leaves_no_lock(tmp_path, holder):
    process = holder(False)
    process.kill()
    process.wait()
    lock_folder(tmp_path)
    assert f"process {os.getpid()} " in (tmp_path / ".lock").read_text()


def test_a_process_may_ask_twice(tmp_path):
    lock_folder(tmp_path)
    lock_folder(tmp_path)
    unlock_folder(tmp_path)
    unlock_folder(tmp_path)
