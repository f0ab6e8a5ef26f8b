"""Command lines as forks: what they see and leave is what ``python SCRIPT`` sees and leaves."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmrbdc.processes import interrupt_scripts, run_script
from mmrbdc.studies.jobs import run_commands

SHOW = """
import json, multiprocessing, os, sys
import beside
print(json.dumps(dict(
    argv=sys.argv, name=__name__, folder=os.getcwd(), beside=beside.VALUE,
    method=multiprocessing.get_start_method(), threads=os.environ["OMP_NUM_THREADS"],
    given=os.environ.get("MMRBDC_TEST_GIVEN"))))
"""


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / "script.py"
        path.write_text(text)
        return str(path)

    return write


def test_a_script_sees_what_python_would_show_it(tmp_path, script, monkeypatch):
    (tmp_path / "beside.py").write_text("VALUE = 3\n")
    monkeypatch.setenv("MMRBDC_TEST_GIVEN", "later than the server's start")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = [script(SHOW), "--flag", "value"]
    assert run_script(command, tmp_path / "log") == 0
    plain = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    assert json.loads((tmp_path / "log").read_text()) == json.loads(plain.stdout)


def test_what_one_script_leaves_in_its_process_the_next_does_not_find(tmp_path, script):
    text = "import mmengine, sys\nsys.exit(hasattr(mmengine, 'left'))\nmmengine.left = 1"
    path = script(text.replace("sys.exit(hasattr(mmengine, 'left'))\n", ""))
    assert run_script([path], tmp_path / "log") == 0
    assert run_script([script(text)], tmp_path / "log") == 0


@pytest.mark.parametrize(
    "text, code, words",
    [
        ("import sys\nsys.exit(2)", 2, ""),
        ("raise KeyError('lost')", 1, "KeyError: 'lost'"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        ("import os\nos.system('echo from a shell')", 0, "from a shell"),
    ],
)
def test_how_a_script_ends(tmp_path, script, text, code, words):
    assert run_script([script(text)], tmp_path / "log") == code
    assert words in (tmp_path / "log").read_text()


STARTER = """
import sys
from pathlib import Path
from mmrbdc.processes import run_script
if __name__ == "__main__":
    run_script(sys.argv[1:], Path(sys.argv[1] + ".log"))
"""
ASLEEP = """
import pathlib, signal, sys, time
def end(number, frame):
    pathlib.Path(__file__ + ".ended").write_text(str(number))
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
pathlib.Path(__file__ + ".began").touch()
time.sleep(60)
"""


def comes(path):
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return path.exists()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_script_ends_with_who_started_it(tmp_path, script, ending):
    """By SIGTERM, upon which a training saves what it has."""
    starter = tmp_path / "starter.py"
    starter.write_text(STARTER)
    asleep = Path(script(ASLEEP))
    process = subprocess.Popen([sys.executable, str(starter), str(asleep)])
    assert comes(asleep.with_name("script.py.began"))
    process.send_signal(ending)
    process.wait()
    assert comes(asleep.with_name("script.py.ended"))


def test_scripts_that_run_can_be_interrupted(tmp_path, script):
    path = Path(script(ASLEEP))
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(run_script, [str(path)], tmp_path / "log")
        assert comes(tmp_path / "script.py.began")
        interrupt_scripts()
        assert code.result() != 0
    assert "KeyboardInterrupt" in (tmp_path / "log").read_text()


BACKGROUND = """
import signal, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from mmrbdc.processes import interrupt_scripts, run_script
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as shells start a job in the background
    path = Path(sys.argv[1])
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(run_script, [str(path)], Path(f"{path}.log"))
        while not Path(f"{path}.began").exists():
            time.sleep(0.05)
        interrupt_scripts()
        sys.exit(code.result() == 0)
"""


def test_scripts_of_a_job_in_the_background_can_be_interrupted(tmp_path, script):
    starter = tmp_path / "starter.py"
    starter.write_text(BACKGROUND)
    done = subprocess.run([sys.executable, str(starter), script(ASLEEP)], timeout=300)
    assert done.returncode == 0


def test_side_by_side_every_thread_gets_its_own_code(tmp_path, script):
    path = script("import sys, time\ntime.sleep(0.05)\nsys.exit(int(sys.argv[1]))")
    with ThreadPoolExecutor(4) as pool:
        codes = pool.map(lambda i: run_script([path, str(i)], tmp_path / f"log{i}"), range(24))
        assert list(codes) == list(range(24))


def test_the_libraries_are_there_already(tmp_path, script):
    path = script("import sys\nsys.exit('mmrbdc.engine' not in sys.modules)")
    assert run_script([path], tmp_path / "log") == 0


def test_commands_stop_at_the_first_failure(tmp_path, script):
    path = script("import sys\nprint(sys.argv[1])\nsys.exit(sys.argv[1] == 'bad')")
    log = tmp_path / "logs" / "log"
    assert run_commands([[path, "good"], [path, "fine"]], log)
    assert not run_commands([[path, "bad"], [path, "never"]], log)
    assert log.read_text().split() == ["good", "fine", "bad"]
