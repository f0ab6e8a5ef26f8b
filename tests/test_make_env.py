"""make_env: damage is seen, other people's files are left, every trouble has its line."""

import errno
import fcntl
import importlib.metadata
import json
import os
import re
import sys
import zipfile
from pathlib import Path

import installed
import make_env
import pytest
import pythons
import stacks
import troubles
from lock import locked
from options import Options
from packaging.requirements import Requirement
from steps import SetupError, Steps, clock

STACKS = [stacks.Stack(name, make_env.ROOT) for name in stacks.NAMES]
PYTHON = pythons.Python("python3", (3, 11, 7), headers=True, ensurepip=True)


# --- what is installed


@pytest.fixture
def package(tmp_path):
    """A small installed distribution, with its file list."""
    info = tmp_path / "thing-1.0.dist-info"
    info.mkdir()
    (tmp_path / "thing.py").write_text("x = 1\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Thing\nVersion: 1.0\n")
    (info / "RECORD").write_text(
        "thing.py,,6\n__pycache__/thing.pyc,,9\nthing-1.0.dist-info/RECORD,,\n"
    )
    return tmp_path


def fault(folder, wanted="thing==1.0"):
    distribution = importlib.metadata.Distribution.at(folder / "thing-1.0.dist-info")
    return installed.fault(distribution, Requirement(wanted))


def test_an_intact_package_has_no_fault(package):
    assert fault(package) == ""


def test_damage_is_seen(package):
    assert "version 1.0" in fault(package, "thing==2.0")
    (package / "thing.py").write_text("x =")
    assert fault(package) == "thing.py has 3 bytes instead of 6"
    (package / "thing.py").unlink()
    assert fault(package) == "thing.py is missing"
    (package / "thing-1.0.dist-info" / "RECORD").unlink()
    assert fault(package) == "its file list is gone"
    assert installed.fault(None, Requirement("thing==1.0")) == "not installed"


def test_only_rivals_of_what_is_wanted_are_strangers():
    assert installed.rivals_of({"mmcv"}) == ["onedl-mmcv", "mmcv-full", "mmcv-lite"]
    assert installed.rivals_of({"onedl-mmcv"}) == ["mmcv", "mmcv-full", "mmcv-lite"]
    assert installed.rivals_of({"onedl-mmdetection"}) == ["mmdet"]
    assert installed.rivals_of({"numpy"}) == []


def test_a_distribution_without_metadata_has_no_name(package):
    distribution = importlib.metadata.Distribution.at(package / "thing-1.0.dist-info")
    assert installed.name_of(distribution) == "thing"
    (package / "thing-1.0.dist-info" / "METADATA").unlink()
    assert installed.name_of(distribution) == ""


# --- when the environment is trusted


@pytest.fixture(params=stacks.NAMES)
def stack(request, tmp_path, monkeypatch):
    """A stack in an empty folder, which make_env takes for its clone."""
    monkeypatch.setattr(make_env, "ROOT", tmp_path)
    monkeypatch.setattr(make_env, "sources_hash", lambda stack: "now")
    monkeypatch.delenv("MMRBDC_PYTHON_GIVEN", raising=False)
    return stacks.Stack(request.param, tmp_path)


def test_stacks_lie_side_by_side():
    official, onedl = STACKS
    assert official.venv.name == ".venv" and onedl.venv.name == ".venv-onedl"
    assert official.mmcv == "mmcv==2.1.0" and onedl.mmcv == "onedl-mmcv==2.3.6"
    assert official.mmcv_without_ops == "mmcv-lite==2.1.0"
    assert make_env.sources_hash(official) != make_env.sources_hash(onedl)


@pytest.mark.parametrize("name", ["", "Onedl", "openmmlab"])
def test_an_unknown_stack_is_refused_with_the_known_ones(name, capsys):
    with pytest.raises(SystemExit) as caught:
        make_env.main([name])
    assert caught.value.code == 1
    assert f"STACK is '{name}'; it can be official or onedl" in capsys.readouterr().err


def test_a_set_up_is_trusted_only_when_it_is_finished_current_and_here(stack):
    assert make_env.why_not_ready(stack, Options()) == f"there is no {stack.venv.name} yet"
    stack.python.parent.mkdir(parents=True)
    stack.python.symlink_to("/nowhere/python3")
    assert make_env.why_not_ready(stack, Options()) == f"there is no {stack.venv.name} yet"
    stack.python.unlink()
    stack.python.write_text("not a python")
    assert make_env.why_not_ready(stack, Options()) == "the last set-up did not finish"
    stack.stamp.write_text("{ torn")
    assert make_env.why_not_ready(stack, Options()) == "the last set-up did not finish"
    stack.stamp.write_text(json.dumps({"root": "/elsewhere", "sources": "now"}))
    assert make_env.why_not_ready(stack, Options()) == f"{stack.venv.name} was made in /elsewhere"
    stack.stamp.write_text(json.dumps({"root": str(stack.root), "sources": "before"}))
    assert make_env.why_not_ready(stack, Options()) == "the requirements or the set-up changed"
    stack.stamp.write_text(json.dumps({"root": str(stack.root), "sources": "now"}))
    assert "does not work" in make_env.why_not_ready(stack, Options())
    assert make_env.usable_venv(stack) is None


def test_somebody_elses_venv_is_not_touched(stack, capsys):
    stack.python.parent.mkdir(parents=True)
    (stack.venv / "mine.txt").write_text("keep")
    with pytest.raises(SystemExit) as caught:
        make_env.main([stack.name])
    assert caught.value.code == 1
    assert "was not made by `make env`" in capsys.readouterr().err
    assert (stack.venv / "mine.txt").read_text() == "keep"


def test_what_a_kill_leaves_is_never_taken_for_somebody_elses(stack):
    stack.python.parent.mkdir(parents=True)
    stack.python.write_text("half")
    stack.log.write_text("a log")
    make_env.check_owner(stack)
    make_env.remove(stack.venv)
    assert not stack.venv.exists() and not list(stack.root.iterdir())
    # Killed while it was removed: what is left has another name, and goes the next time.
    left = stack.venv.with_name(f"{stack.venv.name}-removing")
    left.mkdir()
    (left / "file").write_text("left")
    make_env.check_owner(stack)
    make_env.remove(stack.venv)
    assert not left.exists()


def test_another_python_than_the_named_one_is_replaced(stack, monkeypatch):
    monkeypatch.setenv("MMRBDC_PYTHON_GIVEN", "1")
    here = pythons.probe(sys.executable)
    other = pythons.Python("python", (3, here.version[1] + 1, 0), True, True)
    stack.python.parent.mkdir(parents=True)
    stack.python.write_text("")
    stack.stamp.write_text(json.dumps({"root": str(stack.root), "sources": "now"}))
    monkeypatch.setattr(
        pythons, "probe", lambda command: here if command == sys.executable else other
    )
    assert f"PYTHON is {here.short}, " in make_env.why_not_ready(stack, Options())
    assert make_env.usable_venv(stack) is None


@pytest.mark.parametrize("driver", ["", "580.1"])
def test_where_no_driver_is_in_sight_the_node_with_one_has_decided(stack, driver):
    stack.venv.mkdir()
    kept = {"cuda": "auto", "ops": "1", "decided_cuda": "12", "decided_archs": "8.0"}
    stack.options.write_text(json.dumps(kept))
    machine = make_env.Machine((PYTHON,), driver=driver, cards=("9.0",) if driver else ())
    found = make_env.decided(stack, Options(), machine)
    assert found == (Options() if driver else Options(cuda="12", archs="8.0"))
    assert make_env.decided(stack, Options(cuda="13"), machine).cuda == "13"
    # What is kept says it again, and what was asked for stays what was asked for.
    the_plan = make_env.plan(machine, found, STACKS[0])
    told = make_env.options_to_keep(stack, Options(), machine, the_plan)
    assert told["cuda"] == "auto"
    assert told["decided_archs"] == ("9.0" if driver else "8.0")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[project]\nname = 'a'\n", []),
        ("[project.scripts]\na = 'b:c'\nd-e='f'\n\n[tool.x]\ny = 1\n", ["a", "d-e"]),
        ("[tool]\nz = 1\n[project.scripts]\n# why\na = 'b:c'", ["a"]),
    ],
)
def test_the_commands_of_the_project_are_known(stack, text, found):
    (stack.root / "pyproject.toml").write_text(text)
    assert make_env.commands(stack) == found


def test_a_machine_without_a_driver_decides_nothing(stack):
    stack.venv.mkdir()
    machine = make_env.Machine((PYTHON,))
    the_plan = make_env.plan(machine, Options(), STACKS[0])
    told = make_env.options_to_keep(stack, Options(), machine, the_plan)
    stack.options.write_text(json.dumps(told))
    assert make_env.decided(stack, Options(), machine) == Options()


@pytest.mark.parametrize(
    ("number", "next_step"),
    [
        (errno.ENOSPC, "; the disk is full "),
        (errno.EROFS, "; a folder that is named here cannot be written: make it writable, "),
        (errno.EIO, ""),
    ],
)
def test_an_error_of_the_system_is_one_line(stack, monkeypatch, capsys, number, next_step):
    def fails(*_):
        raise OSError(number, os.strerror(number), str(stack.log))

    monkeypatch.setattr(make_env, "set_up", fails)
    with pytest.raises(SystemExit) as caught:
        make_env.main([stack.name])
    told = capsys.readouterr().err.strip()
    assert caught.value.code == 1
    assert told.startswith(f"error: {stack.log}: {os.strerror(number)}{next_step}")
    assert "\n" not in told and (next_step or told.endswith(os.strerror(number)))


# --- Python and pip


@pytest.mark.parametrize(
    ("version", "supported"), [((3, 9, 1), False), ((3, 14, 9), True), ((3, 15, 0), False)]
)
def test_supported_pythons(version, supported):
    assert pythons.Python("python3", version, True, True).supported is supported


def test_this_python_is_found_and_asked():
    found = pythons.probe(sys.executable)
    assert found.version == sys.version_info[:3] and found.supported


def test_missing_headers_name_debians_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"apt-get install python3\.11-dev"):
        pythons.fetch_headers(PYTHON, tmp_path / "headers")


@pytest.fixture
def bare_python(tmp_path):
    """This Python as Debian's python3 is without python3-venv."""
    return pythons.Python(sys.executable, sys.version_info[:3], headers=True, ensurepip=False)


def test_pip_comes_from_the_distributions_package_unpacked(bare_python, tmp_path, monkeypatch):
    """The package is made up; the pip in it is a wheel that leaves a mark when it runs."""

    def unpack(package, folder):
        assert package == "python3-pip-whl"
        wheels = folder / "usr" / "share" / "python-wheels"
        wheels.mkdir(parents=True)
        with zipfile.ZipFile(wheels / "pip-99-py3-none-any.whl", "w") as wheel:
            text = "import sys\nfrom pathlib import Path\n"
            text += f"Path({str(tmp_path / 'mark')!r}).write_text(' '.join(sys.argv[1:]))\n"
            wheel.writestr("pip/__main__.py", text)

    monkeypatch.setattr(pythons, "unpack_debian", unpack)
    pythons.make_venv(bare_python, tmp_path / "venv", Steps(1, tmp_path / "log"))
    told = (tmp_path / "mark").read_text()
    assert told.startswith("install --no-index --no-deps") and told.endswith(
        "pip-99-py3-none-any.whl"
    )


def test_pip_that_cannot_be_had_names_debians_package(bare_python, tmp_path, monkeypatch):
    monkeypatch.setattr(pythons, "unpack_debian", lambda package, folder: None)
    with pytest.raises(SetupError, match=r"apt-get install python3\.\d+-venv"):
        pythons.make_venv(bare_python, tmp_path / "venv", Steps(1, tmp_path / "log"))


def test_no_package_index_is_named():
    """Neither in the set-up nor in the pins: pip's own settings say where packages come from."""
    files = [*Path(make_env.__file__).parent.rglob("*.py"), *STACKS[0].requirements.iterdir()]
    named = [path.name for path in files if re.search(r"https?://|pypi\.org", path.read_text())]
    assert len(files) > 20 and not named


@pytest.mark.parametrize("version", [(2, 7), (3, 7)])
def test_a_python_too_old_to_read_the_set_up_is_told_so(version, monkeypatch, capsys):
    start = Path(make_env.__file__).with_name("start.py").read_text()
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    with pytest.raises(SystemExit):
        exec(compile(start, "start.py", "exec"), {"__file__": make_env.__file__})
    told = capsys.readouterr().err
    assert "make env PYTHON=" in told and told.count("\n") == 1


# --- steps


def test_a_failing_command_shows_the_end_of_its_own_output(tmp_path):
    steps = Steps(1, tmp_path / "log")
    steps.run([sys.executable, "-c", "print('an earlier command')"], "first")
    with pytest.raises(SetupError, match="it broke") as caught:
        steps.run([sys.executable, "-c", "print('it broke'); raise SystemExit(3)"], "second")
    assert "exit code 3" in str(caught.value) and "an earlier command" not in str(caught.value)
    assert str(steps.log) in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}, "the package index cannot be reached"),
        (
            {"PIP_INDEX_URL": "https://no.such.host.invalid/", "PIP_PROXY": "http://127.0.0.1:9"},
            "the proxy does not let pip through",
        ),
    ],
)
def test_what_pip_really_says_of_no_network_is_understood(setting, words, tmp_path, monkeypatch):
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", **setting}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("no_proxy", "")
    pip = [sys.executable, "-m", "pip", "download", "--dest", tmp_path, "thing==1"]
    with pytest.raises(SetupError) as caught:
        Steps(1, tmp_path / "log").run(pip, "fetching")
    assert f"fetching failed: {words}" in str(caught.value).splitlines()[0], caught.value


def test_commands_do_not_inherit_another_python_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    steps = Steps(1, tmp_path / "log")
    steps.run([sys.executable, "-c", "import os; assert 'PYTHONPATH' not in os.environ"], "look")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("OSError: [Errno 122] Disk quota exceeded: '/home/x'", "the disk is full"),
        ("Cannot connect to proxy.', OSError('Tunnel connection failed: 407", "the proxy"),
        ("[Errno -3] Temporary failure in name resolution')': /a/", "is there a network"),
        ("Failed to establish a new connection: [Errno 111]", "is there a network"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify", "PIP_CERT"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", "not the pinned one"),
        ("ERROR: No matching distribution found for thing==1", "mirror may lag"),
        ("c++: fatal error: Killed signal terminated program cc1plus", "MAX_JOBS=1"),
        ("[Errno 30] Read-only file system: '/opt'", "cannot be written"),
        ("error: expected ';' before '}' token", ""),
    ],
)
def test_known_troubles_get_a_line_that_says_what_to_do(output, words, tmp_path):
    line = troubles.explain(f"Collecting a\n{output}\n")
    assert (words in line) if words else not line
    steps = Steps(1, tmp_path / "log")
    with pytest.raises(SetupError, match="exit code 3") as caught:
        steps.run([sys.executable, "-c", f"print({output!r}); raise SystemExit(3)"], "it")
    assert (line or "it failed (") in str(caught.value).splitlines()[0]


@pytest.mark.parametrize(("seconds", "text"), [(4.21, "4.2 s"), (12, "12 s"), (93, "1:33 min")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_a_lock_keeps_others_out(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with locked(tmp_path, "nobody"), pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
