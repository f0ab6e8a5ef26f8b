"""A data worker ends on its parent's SIGTERM, and on nobody else's."""

import os
import signal
import subprocess
import sys
import time

from torch.utils.data import DataLoader
from torch.utils.data._utils import signal_handling

from mmrbdc.datasets import leave_sigterm_to_parent


def loaded(init):
    loader = DataLoader(range(1000), num_workers=1, worker_init_fn=init, persistent_workers=True)
    batches = iter(loader)
    next(batches)
    return batches, batches._workers[0]


def signalled_by_another(process):
    subprocess.run([sys.executable, "-c", f"import os; os.kill({process.pid}, {signal.SIGTERM})"])
    time.sleep(0.5)
    return process.is_alive()


def test_another_process_is_not_heard():
    batches, worker = loaded(leave_sigterm_to_parent)
    assert signalled_by_another(worker)
    assert len(list(batches)) == 999


def test_the_parent_is():
    batches, worker = loaded(leave_sigterm_to_parent)
    # A worker that is meant to die. torch keeps it under the id of its iterator, which the next
    # test's iterator may get: on Python 3.13 it does.
    signal_handling._remove_worker_pids(id(batches))
    batches._worker_pids_set = False
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(10)
    assert not worker.is_alive() and worker.exitcode == 0


def test_twin_a_stock_worker_hears_anyone():
    _batches, worker = loaded(None)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    assert not signalled_by_another(worker)
