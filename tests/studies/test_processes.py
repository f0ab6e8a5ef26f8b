"""Command lines as forks: what they see and leave is what ``python SCRIPT`` sees and leaves."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmrbdc.studies.jobs import run_commands
from mmrbdc.studies.processes import run_script

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
