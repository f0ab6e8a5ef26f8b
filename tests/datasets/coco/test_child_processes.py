"""The harness itself: every way in which a child can end is told from the others."""

import ctypes
import os
import signal
import subprocess
import time

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmrbdc.datasets.errors import DataError
from tests.datasets.coco.child_processes import PATIENCE, in_child


def score_unfinished_rle():
    """Counts that do not add up to the image: stock pycocotools does not come back."""
    whole = mask_utils.encode(np.ones((40, 60), np.uint8, order="F"))
    short = mask_utils.frPyObjects({"size": [40, 60], "counts": [10, 200, 5]}, 40, 60)
    return mask_utils.iou([whole], [short], [0])


def a_hang_in_c():
    """That no signal handler of Python interrupts."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    libc = ctypes.PyDLL(None)  # keeps the interpreter's lock, as an extension does
    libc.sleep(3600)


def a_polygon_far_outside():
    polygon = [[0.0, 0.0, 2e8, 0.0, 2e8, 2e8, 0.0, 2e8]]
    return mask_utils.decode(mask_utils.frPyObjects(polygon, 40, 60)).sum()


def test_a_value_comes_back_with_what_was_written():
    def child(one, other):
        os.write(1, b"hello")
        return {"sum": one + other}

    outcome = in_child(child, np.float64(1.5), 2)
    assert (outcome.kind, outcome.value, outcome.output) == ("returned", {"sum": 3.5}, "hello")
    large = in_child(lambda: b"x" * 10_000_000)  # more than a pipe holds
    assert len(large.value) == 10_000_000


def test_a_refusal_is_a_line_and_anything_else_a_traceback():
    def refuse(kind):
        raise kind("a.json: nothing in it")

    outcome = in_child(refuse, DataError, refusals=DataError)
    assert (outcome.kind, outcome.value) == ("refused", "DataError")
    assert outcome.text == "a.json: nothing in it"
    for kind in (ValueError, KeyError, SystemExit, KeyboardInterrupt):
        outcome = in_child(refuse, kind, refusals=DataError)
        assert outcome.kind == "traceback" and kind.__name__ in outcome.text


def test_a_hang_in_c_is_ended_in_time():
    start = time.monotonic()
    outcome = in_child(a_hang_in_c, seconds=0.5)
    assert outcome.kind == "hang" and time.monotonic() - start < 2 + PATIENCE * 0.5


def test_a_child_that_waits_for_ever_is_ended_too():
    assert in_child(time.sleep, 3600, seconds=0.1).kind == "hang"


def test_a_child_that_never_came_to_lead_its_group_is_ended_too(monkeypatch):
    """On a busy machine the time may be over before the child's first line."""
    monkeypatch.setattr(os, "setsid", lambda: time.sleep(3600))
    assert in_child(time.sleep, 3600, seconds=0.1).kind == "hang"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_signal_has_a_name(number):
    outcome = in_child(lambda: os.kill(os.getpid(), number))
    assert (outcome.kind, outcome.text) == ("signal", number.name)


def test_a_child_that_leaves_without_a_word_is_none_that_returned():
    outcome = in_child(lambda: os._exit(3))
    assert (outcome.kind, outcome.text) == ("signal", "exit code 3")


def test_memory_is_limited():
    outcome = in_child(lambda: np.ones(1 << 30, np.uint8).sum(), memory=1 << 28)
    assert outcome.kind == "traceback" and "Memory" in outcome.text


def test_what_a_child_started_ends_with_it():
    def child():
        return subprocess.Popen(["sleep", "3600"]).pid

    pid = in_child(child).value
    deadline = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(pid)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize(
    "stock, kind", [(score_unfinished_rle, "hang"), (a_polygon_far_outside, "signal")]
)
def test_twins_what_stock_code_does_with_such_files_is_seen(stock, kind):
    """Each of these would end a run without a word, or never."""
    outcome = in_child(stock, seconds=2, memory=1 << 30)
    assert outcome.kind == kind, outcome
