"""One process at a time in a folder."""

import multiprocessing
import os
import signal
import time

import pytest

from mmrbdc.engine.process.lock import Locked, lock_folder
from mmrbdc.engine.process.lock import _leave_to_parent as end_of_process


def hold(pipe, folder, shared):
    """Lock the folder, and start what outlives the process where it is killed."""
    lock_folder(folder, shared=shared)
    reading, writing = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.write(writing, b"!")  # by then it has let go of the lock
        time.sleep(60)
        os._exit(0)
    os.read(reading, 1)
    pipe.send(worker)
    pipe.recv()


@pytest.fixture
def holder(tmp_path):
    """Another process that holds ``tmp_path``; call it with ``shared``."""
    fork = multiprocessing.get_context("fork")
    started, workers = [], []

    def start(shared):
        ours, theirs = fork.Pipe()
        process = fork.Process(target=hold, args=(theirs, tmp_path, shared))
        process.start()
        started.append(process)
        workers.append(ours.recv())
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    end_of_process()


@pytest.mark.parametrize("theirs, ours", [(False, False), (False, True), (True, False)])
def test_a_second_process_is_refused_and_told_who_is_there(tmp_path, holder, theirs, ours):
    process = holder(theirs)
    with pytest.raises(Locked, match=rf"in use by process {process.pid} on .*--work-dir"):
        lock_folder(tmp_path, shared=ours)


def test_shared_locks_go_together(tmp_path, holder):
    holder(True)
    lock_folder(tmp_path, shared=True)


def test_a_killed_process_leaves_no_lock_though_its_worker_lives_on(tmp_path, holder):
    process = holder(False)
    process.kill()
    process.join()
    lock_folder(tmp_path)
    assert f"process {os.getpid()} " in (tmp_path / ".lock").read_text()


def test_a_process_may_ask_twice(tmp_path):
    lock_folder(tmp_path)
    lock_folder(tmp_path)
    end_of_process()
    end_of_process()


@pytest.mark.parametrize("below", ["", "run", "a/b"])
def test_a_folder_that_cannot_be_made_is_told_with_its_option(tmp_path, below):
    file = tmp_path / "config.py"
    file.write_text("")
    with pytest.raises(OSError, match=r"^the folder .*config\.py.* --work-dir$"):
        lock_folder(file / below)
    assert file.read_text() == ""
    lock_folder(tmp_path / "new" / below)
    end_of_process()
