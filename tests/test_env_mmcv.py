"""mmcv for `make env`: which wheel fits, its source mended and joined, nvcc from PyPI."""

import os
import re
import subprocess
import sys
from pathlib import Path

import make_env
import mmcv_wheel
import nvcc
import pytest
import sources
from steps import SetupError, Steps
from target import Target, works


def target(**changes):
    facts = {"python": "cp311", "torch": "2.11.0+cu130", "mmcv": "mmcv==2.1.0", **changes}
    return Target(**facts)


def test_every_part_of_a_build_is_in_its_key():
    gpu = {"cuda": "13.0", "cuda_home": "/usr/local/cuda", "archs": ("9.0",)}
    targets = [
        target(),
        target(python="cp312"),
        target(torch="2.11.0+cpu"),
        target(mmcv="mmcv==2.0.1"),
        target(mmcv="onedl-mmcv==2.1.0"),
        target(ops=False),
        target(**gpu),
        target(**{**gpu, "cuda": "13.1"}),
        target(**{**gpu, "archs": ("8.0", "9.0")}),
    ]
    keys = {one.key for one in targets}
    assert len(keys) == len(targets)
    assert all(re.fullmatch(r"[\w.-]+", key) for key in keys)


def test_a_cpu_build_cannot_see_a_gpu():
    environ = target().environ(2)
    assert environ["CUDA_VISIBLE_DEVICES"] == "" and environ["FORCE_CUDA"] == "0"


def test_a_cuda_build_is_told_toolkit_and_cards():
    environ = target(cuda="13.0", archs=("8.0", "9.0")).environ(3, "/a/toolkit")
    assert environ["CUDA_HOME"] == "/a/toolkit" and environ["MAX_JOBS"] == "3"
    assert environ["TORCH_CUDA_ARCH_LIST"] == "8.0;9.0" and environ["FORCE_CUDA"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in environ


def test_the_users_own_flags_stay(monkeypatch):
    monkeypatch.setenv("CPPFLAGS", "-I/opt/include")
    assert target().environ(2)["CPPFLAGS"] == "-I/opt/include -g0"
    monkeypatch.delenv("CPPFLAGS")
    assert target().environ(2)["CPPFLAGS"] == "-g0"


def test_ops_that_the_target_promises_must_work():
    gpu = target(cuda="13.0", cuda_home="/cuda", archs=("9.0",))
    assert works({"cpu": ""}, target())
    assert not works({"cpu": "undefined symbol"}, target())
    assert not works({}, target())
    assert not works({"cpu": "", "archs": ["9.0"]}, gpu)
    assert works({"cpu": "", "cuda": "", "archs": ["9.0"]}, gpu)
    assert works({"cpu": "", "archs": []}, gpu)  # built on a login node for another one
    without = target(ops=False)
    assert works({"ops": False, "cpu": "No module named 'mmcv._ext'"}, without)
    assert not works({"ops": True, "cpu": ""}, without)
    assert not works({}, without)


def test_the_wheel_folder_is_the_users_choice(tmp_path, monkeypatch):
    monkeypatch.setenv("MMRBDC_WHEELS", str(tmp_path / "a"))
    assert mmcv_wheel.wheel_folder() == tmp_path / "a"
    assert mmcv_wheel.writable_folder(tmp_path / "b") == tmp_path / "a"
    assert not (tmp_path / "b").exists()


def test_a_wheel_folder_that_cannot_be_made_is_told_and_the_venvs_own_taken(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MMRBDC_WHEELS", str(tmp_path / "file" / "wheels"))
    assert mmcv_wheel.writable_folder(tmp_path / "b") == tmp_path / "b"
    told = capsys.readouterr().out
    assert "Not a directory" in told and str(tmp_path / "b") in told and told.count("\n") == 1


def test_a_failed_build_leaves_no_wheel_folder(tmp_path):
    bin_ = tmp_path / "venv" / "bin"
    bin_.mkdir(parents=True)
    (bin_ / "python").write_text("#!/bin/sh\necho no compiler\nexit 1\n")
    (bin_ / "python").chmod(0o755)
    steps = Steps(1, tmp_path / "log")
    builder = mmcv_wheel.Builder(bin_ / "python", make_env.ROOT, steps, {}, 1)
    folder = tmp_path / "wheels" / "key"
    with pytest.raises(SetupError, match="no compiler"):
        mmcv_wheel.build_wheel(target(), folder, builder)
    assert not folder.exists()


# --- mmcv's source

SETUP = """
try:
    import torch
    raise SystemExit("setup.py ran while pip only wanted its source")
except ModuleNotFoundError:
    pass
def get_version():
    version_file = 'thing/version.py'
    with open(version_file, encoding='utf-8') as f:
        exec(compile(f.read(), version_file, 'exec'))
    return locals()['__version__']
"""


@pytest.fixture
def source(tmp_path):
    """A source like mmcv's: a version that is read by ``exec``, and some files of C++."""
    folder = tmp_path / "mmcv-2.1.0"
    ops = folder / "mmcv" / "ops" / "csrc" / "pytorch"
    (ops / "cpu").mkdir(parents=True)
    (folder / "thing").mkdir()
    (folder / "thing" / "version.py").write_text(
        "__version__ = '7.8'\ndef parts(text):\n    return text\nall = parts(__version__)\n"
    )
    (folder / "setup.py").write_text(SETUP)
    for name in ("nms.cpp", "roi.cpp", "pybind.cpp", "cpu/nms.cpp"):
        (ops / name).write_text(f"int f_{name.replace('/', '_')[:-4]};\n")
    return folder


def test_the_mended_function_reads_the_version_on_every_python(source, monkeypatch):
    sources.mend(source, target())
    monkeypatch.chdir(source)
    scope = {}
    exec((source / "setup.py").read_text().split("except ModuleNotFoundError:\n    pass")[1], scope)
    assert scope["get_version"]() == "7.8"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="exec still wrote to locals() before 3.13")
def test_without_the_mend_it_does_not(source, monkeypatch):
    monkeypatch.chdir(source)
    scope = {}
    exec((source / "setup.py").read_text().split("except ModuleNotFoundError:\n    pass")[1], scope)
    with pytest.raises(KeyError, match="__version__"):
        scope["get_version"]()


def test_every_edit_is_told(source, capsys):
    sources.mend(source, target())
    told = capsys.readouterr().out
    assert told.count("setup.py:") == 2 and "locals()['__version__']" in told


@pytest.mark.parametrize("text", ["return '2.1.0'\n", SETUP + SETUP])
def test_another_source_than_the_edits_are_for_is_refused(source, text):
    (source / "setup.py").write_text(text)
    with pytest.raises(SetupError, match="expected once"):
        sources.mend(source, target())
    assert (source / "setup.py").read_text() == text


def test_without_ops_torch_is_not_seen(source):
    sources.mend(source, target(mmcv="onedl-mmcv==2.3.6", ops=False))
    exec((source / "setup.py").read_text(), {})


def test_joined_files_are_all_there_and_compiled_once(source):
    ops = source / "mmcv" / "ops" / "csrc" / "pytorch"
    assert sources.join(source) == 2
    assert sorted(path.name for path in ops.glob("*.cpp")) == ["mmrbdc_joined.cpp", "pybind.cpp"]
    assert (ops / "cpu" / "nms.cpp").exists()
    text = subprocess.run(
        ["g++", "-E", "-P", ops / "mmrbdc_joined.cpp"], capture_output=True, text=True, check=True
    ).stdout
    assert text.split("\n")[:2] == ["int f_nms;", "int f_roi;"]


def test_pip_fetches_a_source_by_its_hash_without_running_it(source, tmp_path, monkeypatch):
    """From a folder in place of an index; its twin has another hash."""
    links, requirements = tmp_path / "links", tmp_path / "requirements"
    links.mkdir()
    requirements.mkdir()
    (source / "setup.py").write_text("raise SystemExit('setup.py ran')\n")
    archive = links / "mmcv-2.1.0.tar.gz"
    subprocess.run(["tar", "czf", archive, "-C", tmp_path, source.name], check=True)
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    steps = Steps(1, tmp_path / "log")
    sum_of = subprocess.run(["sha256sum", archive], capture_output=True, text=True, check=True)
    (requirements / "hashes.txt").write_text(f"{sum_of.stdout[:64]}  mmcv-2.1.0.tar.gz\n")
    build = tmp_path / "build"
    found = sources.fetch(target(), requirements, Path(sys.executable), build, steps)
    assert (found / "setup.py").exists() and found.is_relative_to(build)
    (requirements / "hashes.txt").write_text(f"{'0' * 64}  mmcv-2.1.0.tar.gz\n")
    with pytest.raises(SetupError, match=r"fetching mmcv's source failed: .*not the pinned one"):
        sources.fetch(target(), requirements, Path(sys.executable), tmp_path / "again", steps)


# --- nvcc from PyPI


def test_nvccs_packages_are_laid_out_like_a_toolkit(tmp_path, monkeypatch):
    origin = tmp_path / "site" / "nvidia" / "cu13"
    libraries = ("lib/libcudart.so.13", "lib/libcudadevrt.a")
    for name in ("bin/nvcc", "nvvm/bin/cicc", "include/cuda.h", *libraries):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_text(name)
    monkeypatch.setattr(nvcc, "output_of", lambda command: f"{tmp_path / 'site'}\n")
    home = nvcc.toolkit_of(Path("python"), tmp_path)
    for name in ("bin/nvcc", "nvvm/bin/cicc", "include/cuda.h"):
        assert (home / name).read_text() == name
    assert os.access(home / "bin" / "nvcc", os.X_OK)
    for name in ("libcudart.so", "libcudart.so.13"):
        assert (home / "lib64" / name).read_text() == "lib/libcudart.so.13"
    assert len(list((home / "lib64").iterdir())) == 3


def test_nvcc_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(nvcc, "output_of", lambda command: str(tmp_path))
    with pytest.raises(SetupError, match="has no nvcc"):
        nvcc.toolkit_of(Path("python"), tmp_path)
