import json
import os
import signal
import subprocess
import sys

import pytest

from mmrbdc.weights import atomic_write, write_json


def test_writes_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    atomic_write(path, lambda file: file.write(b"one") and None)
    atomic_write(path, lambda file: file.write(b"two") and None)
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file.bin"]


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("writer, survives", [("atomic", True), ("plain", False)])
def test_a_killed_writer_leaves_the_old_file(tmp_path, writer, survives):
    """The twin, a plain open-and-write, must lose the old content."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    code = (
        "import os, signal, sys\n"
        "from mmrbdc.weights.atomic import atomic_write\n"
        "def die(file):\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "if sys.argv[2] == 'atomic': atomic_write(sys.argv[1], die)\n"
        "else: die(open(sys.argv[1], 'wb'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), writer], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (path.read_bytes() == b"old") == survives


def test_write_json(tmp_path):
    write_json(tmp_path / "a.json", {"x": [1, 2.5, None, "ü"]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [1, 2.5, None, "ü"]}
