"""A data worker ends on its parent's SIGTERM, and on nobody else's."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from torch.utils.data import DataLoader
from torch.utils.data._utils import signal_handling

from mmrbdc.datasets import leave_sigterm_to_parent
from mmrbdc.datasets.loading.workers import end_workers_with_run


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
    # A worker that is meant to die; its number must not meet the next iterator of the same id.
    signal_handling._remove_worker_pids(id(batches))
    batches._worker_pids_set = False
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(10)
    assert not worker.is_alive() and worker.exitcode == 0


ORPHANS = """
import sys, time
from torch.utils.data import DataLoader, Dataset
from mmrbdc.datasets.loading.workers import leave_sigterm_to_parent

class Slow(Dataset):
    def __len__(self):
        return 100

    def __getitem__(self, index):
        if index > 3:
            time.sleep(3600)  # as behind a lock that nobody will open
        return index

if __name__ == "__main__":
    _, method, whose = sys.argv
    init = leave_sigterm_to_parent if whose == "ours" else None
    loader = DataLoader(Slow(), 2, False, num_workers=2, worker_init_fn=init,
                        multiprocessing_context=method)
    batches = iter(loader)
    next(batches), next(batches)
    print(*(worker.pid for worker in batches._workers), flush=True)
    time.sleep(3600)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_no_worker_outlives_a_run_that_is_killed(tmp_path, method):
    workers, others = orphans(tmp_path, method, "ours")
    try:
        deadline = time.monotonic() + 10
        while any(map(runs, workers)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not any(map(runs, workers))
    finally:
        end(workers + others)


def test_twin_a_stock_worker_in_the_middle_of_a_sample_lives_on(tmp_path):
    workers, others = orphans(tmp_path, "fork", "stock")
    time.sleep(0.5)
    assert all(map(runs, workers))
    end(workers + others)


def orphans(tmp_path, method, whose):
    """Workers of a process that was killed, and what else is left of it."""
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    command = [sys.executable, str(script), method, whose]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    workers = [int(word) for word in process.stdout.readline().split()]
    assert len(workers) == 2 and all(map(runs, workers))
    process.kill()
    process.wait()
    return workers, [process.pid]


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def end(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def begin(worker_id, number):
    BEGUN.append((worker_id, number))


BEGUN = []


def test_what_a_config_has_a_worker_do_is_done_too():
    loader = dict(dataset={}, worker_init_fn=dict(type=begin, number=3))
    end_workers_with_run(loader)
    end_workers_with_run(loader)  # once is enough
    options = dict(loader["worker_init_fn"])
    assert options.pop("type") == "mmrbdc.leave_sigterm_to_parent"
    assert options == dict(first=begin, options=dict(number=3))
    loader = dict(dataset={}, disable_subprocess_warning=True)
    end_workers_with_run(loader)
    assert loader["worker_init_fn"]["quiet"] and "disable_subprocess_warning" not in loader


def test_twin_a_stock_worker_hears_anyone():
    _batches, worker = loaded(None)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    assert not signalled_by_another(worker)
