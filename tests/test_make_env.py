"""make_env: pins are complete, damage is seen, wheels not mistaken, other people's files left."""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import installed
import make_env
import mmcv_wheel
import pytest
import pythons
import stacks
from lock import locked
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from steps import SetupError, Steps, clock

STACKS = [stacks.Stack(name, make_env.ROOT) for name in stacks.NAMES]
PYTHON = pythons.Python("python3", (3, 11, 7), headers=True, ensurepip=True, pip=True)


# --- the pins


def pins(stack, python):
    """Name -> pinned version for one Python, from all requirement files of a stack."""
    found = {}
    for file in [*stack.requirements, stack.mmcv_requirement]:
        for line in file.read_text().splitlines():
            if text := line.split("#")[0].strip():
                requirement = Requirement(text)
                where = {"python_version": python, "sys_platform": "linux"}
                if requirement.marker is None or requirement.marker.evaluate(where):
                    name = canonicalize_name(requirement.name)
                    assert name not in found, f"{name} is pinned twice for Python {python}"
                    found[name] = re.fullmatch(r"==([^*]+)", str(requirement.specifier)).group(1)
    return found


@pytest.mark.parametrize("stack", STACKS, ids=stacks.NAMES)
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12"])
def test_every_python_has_one_exact_pin_of_each_package(stack, python):
    found = pins(stack, python)
    fork = "onedl-" if stack.name == "onedl" else ""
    mm = {"official": {"mmdet"}, "onedl": {"onedl-mmdetection", "imaug"}}[stack.name]
    mm |= {f"{fork}mmcv", f"{fork}mmengine", f"{fork}mmpretrain"}
    assert {"torch", "pytest", *mm} <= set(found)
    assert not set(installed.rivals_of(set(found))) & set(found)
    assert "opencv-python" not in found


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12"])
def test_the_stacks_share_the_pins_of_what_they_share(python):
    official, onedl = (pins(stack, python) for stack in STACKS)
    shared = set(official) & set(onedl)
    assert len(shared) > 80
    assert {name: official[name] for name in shared} == {name: onedl[name] for name in shared}


def test_the_closure_is_complete():
    """--no-deps is safe: what pinned packages ask for is pinned, in a version that they accept."""
    here = next((stack for stack in STACKS if str(stack.venv) == sys.prefix), STACKS[0])
    have = pins(here, f"{sys.version_info[0]}.{sys.version_info[1]}")
    for name in have:
        try:
            wanted = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed here: not an environment of `make env`")
        for text in wanted:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            if requirement.name == "opencv-python":
                continue
            version = have.get(canonicalize_name(requirement.name))
            assert version, f"{name} needs {requirement}, which is not pinned"
            assert requirement.specifier.contains(version, prereleases=True), (name, text, version)


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
    return stacks.Stack(request.param, tmp_path)


def test_stacks_lie_side_by_side():
    official, onedl = STACKS
    assert official.venv.name == ".venv" and onedl.venv.name == ".venv-onedl"
    assert official.mmcv == "mmcv==2.1.0" and onedl.mmcv == "onedl-mmcv==2.3.6"
    assert make_env.sources_hash(official) != make_env.sources_hash(onedl)


@pytest.mark.parametrize("name", ["", "Onedl", "openmmlab"])
def test_an_unknown_stack_is_refused_with_the_known_ones(name, capsys):
    with pytest.raises(SystemExit) as caught:
        make_env.main([name])
    assert caught.value.code == 1
    assert f"STACK is '{name}'; it can be official or onedl" in capsys.readouterr().err


def test_a_set_up_is_trusted_only_when_it_is_finished_current_and_here(stack):
    assert make_env.why_not_ready(stack) == f"there is no {stack.venv.name} yet"
    stack.python.parent.mkdir(parents=True)
    stack.python.symlink_to("/nowhere/python3")
    assert make_env.why_not_ready(stack) == f"there is no {stack.venv.name} yet"
    stack.python.unlink()
    stack.python.write_text("not a python")
    assert make_env.why_not_ready(stack) == "the last set-up did not finish"
    stack.stamp.write_text("{ torn")
    assert make_env.why_not_ready(stack) == "the last set-up did not finish"
    stack.stamp.write_text(json.dumps({"root": "/elsewhere", "sources": "now"}))
    assert make_env.why_not_ready(stack) == f"{stack.venv.name} was made in /elsewhere"
    stack.stamp.write_text(json.dumps({"root": str(stack.root), "sources": "before"}))
    assert make_env.why_not_ready(stack) == "the requirements or the set-up changed"
    stack.stamp.write_text(json.dumps({"root": str(stack.root), "sources": "now"}))
    assert "does not work" in make_env.why_not_ready(stack)
    assert make_env.usable_venv(stack) is None


def test_somebody_elses_venv_is_not_touched(stack, capsys):
    stack.python.parent.mkdir(parents=True)
    (stack.venv / "mine.txt").write_text("keep")
    with pytest.raises(SystemExit) as caught:
        make_env.main([stack.name])
    assert caught.value.code == 1
    assert "was not made by `make env`" in capsys.readouterr().err
    assert (stack.venv / "mine.txt").read_text() == "keep"


def test_too_little_room_is_said_first(stack, monkeypatch):
    monkeypatch.setattr(make_env, "NEEDED_BYTES", 2**70)
    with pytest.raises(SetupError, match="GiB free"):
        make_env.check_machine(stack)


# --- mmcv's wheel


def target(**changes):
    facts = {"python": "cp311", "torch": "2.11.0+cu130", "mmcv": "mmcv==2.1.0", **changes}
    return mmcv_wheel.Target(**facts)


def test_every_part_of_a_build_is_in_its_key():
    gpu = {"cuda": "13.0", "cuda_home": "/usr/local/cuda", "archs": ("9.0",)}
    targets = [
        target(),
        target(python="cp312"),
        target(torch="2.11.0+cpu"),
        target(mmcv="mmcv==2.0.1"),
        target(mmcv="onedl-mmcv==2.1.0"),
        target(**gpu),
        target(**{**gpu, "cuda": "13.1"}),
        target(**{**gpu, "archs": ("8.0", "9.0")}),
    ]
    keys = {one.key for one in targets}
    assert len(keys) == len(targets)
    assert all(re.fullmatch(r"[\w.-]+", key) for key in keys)


def test_keys_of_wheels_that_are_kept_already_stay_as_they_are():
    start = "cp311-torch2.11.0-cu130-"
    assert target().key.startswith(start + "mmcv2.1.0-cpu-")
    assert target(mmcv="onedl-mmcv==2.3.6").key.startswith(start + "onedl-mmcv2.3.6-cpu-")


def test_a_cpu_build_cannot_see_a_gpu():
    environ = target().environ()
    assert environ["CUDA_VISIBLE_DEVICES"] == "" and environ["FORCE_CUDA"] == "0"


def test_the_users_own_flags_stay(monkeypatch):
    monkeypatch.setenv("CPPFLAGS", "-I/opt/include")
    assert target().environ()["CPPFLAGS"] == "-I/opt/include -g0"
    monkeypatch.delenv("CPPFLAGS")
    assert target().environ()["CPPFLAGS"] == "-g0"


@pytest.mark.parametrize(
    ("nvcc", "cuda"),
    [(("/cuda", "13.2"), "13.2"), (("/cuda", "12.4"), None), ((None, None), None)],
)
def test_cuda_ops_are_built_where_nvcc_fits_torch(monkeypatch, nvcc, cuda):
    monkeypatch.setattr(mmcv_wheel, "find_nvcc", lambda: nvcc)
    facts = {"torch": "2.11.0+cu130", "torch_cuda": "13.0", "archs": ["9.0"]}
    found, remark = mmcv_wheel.target_for(PYTHON, "mmcv==2.1.0", facts)
    assert found.cuda == cuda
    assert bool(remark) == (cuda is None)
    without_gpu, remark = mmcv_wheel.target_for(PYTHON, "mmcv==2.1.0", {**facts, "archs": []})
    assert without_gpu.cuda is None and not remark


def test_ops_that_the_target_promises_must_work():
    gpu = target(cuda="13.0", cuda_home="/cuda", archs=("9.0",))
    assert mmcv_wheel.works({"cpu": ""}, target())
    assert not mmcv_wheel.works({"cpu": "undefined symbol"}, target())
    assert not mmcv_wheel.works({}, target())
    assert not mmcv_wheel.works({"cpu": ""}, gpu)
    assert mmcv_wheel.works({"cpu": "", "cuda": ""}, gpu)


def test_the_wheel_folder_is_the_users_choice(tmp_path, monkeypatch):
    monkeypatch.setenv("MMRBDC_WHEELS", str(tmp_path))
    assert mmcv_wheel.wheel_folder() == tmp_path
    assert not mmcv_wheel.maybe_cached(PYTHON, "mmcv==2.1.0")
    folder = tmp_path / target().key
    folder.mkdir()
    (folder / "mmcv-2.1.0-cp311-cp311-linux_x86_64.whl").touch()
    assert mmcv_wheel.maybe_cached(PYTHON, "mmcv==2.1.0")
    assert not mmcv_wheel.maybe_cached(PYTHON, "mmcv==2.0.1")


def test_a_wheel_of_one_distribution_is_not_taken_for_the_other(tmp_path, monkeypatch):
    monkeypatch.setenv("MMRBDC_WHEELS", str(tmp_path))
    folder = tmp_path / target(mmcv="onedl-mmcv==2.1.0").key
    folder.mkdir()
    (folder / "onedl_mmcv-2.1.0-cp311-cp311-linux_x86_64.whl").touch()
    assert mmcv_wheel.maybe_cached(PYTHON, "onedl-mmcv==2.1.0")
    assert not mmcv_wheel.maybe_cached(PYTHON, "mmcv==2.1.0")


def test_a_failed_build_leaves_no_wheel_folder(tmp_path):
    folder = tmp_path / "wheels" / "key"
    folder.parent.mkdir()
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "python").write_text("#!/bin/sh\necho no compiler\nexit 1\n")
    (bin_ / "python").chmod(0o755)
    steps = Steps(1, tmp_path / "log")
    with pytest.raises(SetupError, match="no compiler"):
        mmcv_wheel.compile_wheel(target(), folder, bin_ / "python", steps, {})
    assert not folder.exists()


# --- Python and pip


def test_the_python_that_can_build_is_chosen():
    bare = pythons.Python("bare", (3, 12, 1), headers=False, ensurepip=False, pip=False)
    assert pythons.choose([bare, PYTHON], lambda python: python.headers) is PYTHON
    assert pythons.choose([bare], lambda python: python.headers) is bare
    with pytest.raises(SetupError, match="3.10 to 3.12"):
        pythons.choose([], lambda python: True)


@pytest.mark.parametrize(("version", "supported"), [((3, 9, 1), False), ((3, 12, 9), True)])
def test_supported_pythons(version, supported):
    assert pythons.Python("python3", version, True, True, True).supported is supported


def test_missing_headers_name_debians_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"apt-get install python3\.11-dev"):
        pythons.fetch_headers(PYTHON, tmp_path / "headers")


@pytest.fixture
def index():
    """A package index on this machine, with a pip in it that can do nothing; and its pages."""
    name = f"pip-{pythons.PIP_VERSION}-py3-none-any.whl"
    pages = {f"/files/{name}": b"a wheel"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path in pages else 404)
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, *_):
            pass

    def list_with_hash(sha256):
        pages["/simple/pip/"] = f'<a href="/files/{name}#sha256={sha256}">{name}</a>'.encode()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple", list_with_hash
    server.shutdown()
    server.server_close()


def test_pip_is_fetched_from_the_index_and_compared_with_its_hash(index, tmp_path, monkeypatch):
    url, list_with_hash = index
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    list_with_hash(hashlib.sha256(b"a wheel").hexdigest())
    assert pythons.download_pip(tmp_path).read_bytes() == b"a wheel"
    list_with_hash("0" * 64)
    with pytest.raises(ValueError, match="does not match the hash"):
        pythons.download_pip(tmp_path)
    monkeypatch.setenv("PIP_INDEX_URL", url + "/wrong")
    with pytest.raises(OSError, match="404"):
        pythons.download_pip(tmp_path)


def test_the_users_index_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    assert pythons.index_url() == "https://mirror.example/simple"
    monkeypatch.delenv("PIP_INDEX_URL")
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://other.example/%simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    assert pythons.index_url() == "https://other.example/%simple"


# --- steps


def test_a_failing_command_shows_the_end_of_its_own_output(tmp_path):
    steps = Steps(1, tmp_path / "log")
    steps.run([sys.executable, "-c", "print('an earlier command')"], "first")
    with pytest.raises(SetupError, match="it broke") as caught:
        steps.run([sys.executable, "-c", "print('it broke'); raise SystemExit(3)"], "second")
    assert "exit code 3" in str(caught.value) and "an earlier command" not in str(caught.value)
    assert str(steps.log) in str(caught.value)


def test_commands_do_not_inherit_another_python_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    steps = Steps(1, tmp_path / "log")
    steps.run([sys.executable, "-c", "import os; assert 'PYTHONPATH' not in os.environ"], "look")


@pytest.mark.parametrize(("seconds", "text"), [(4.21, "4.2 s"), (12, "12 s"), (93, "1:33 min")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_a_lock_keeps_others_out(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with locked(tmp_path, "nobody"), pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
