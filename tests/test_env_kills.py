"""`make env` killed at random moments, and two of them at once: the next call ends ready.

A small project is set up by the real scripts with the real pip: its stack is a few small packages
of the real pins, and stand-ins for torch and mmcv that take no minutes to install.
"""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = ("addict", "mdurl", "setuptools", "six", "wheel", "zipp")
TORCH = """
__version__ = "0.0.9+cu130"
class version:
    cuda = "13.0"
"""
CHECK_ENV = """
import json
from pathlib import Path
import torch, mmcv
print(json.dumps({"root": str(Path(__file__).resolve().parents[1])}))
print(json.dumps({"torch": torch.__version__, "torch_cuda": torch.version.cuda, "archs": []}))
print(json.dumps({"ops": False}))
"""


PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "mmrbdc"
version = "1"
[project.scripts]
mmrbdc = "mmrbdc.check_env:main"
[tool.setuptools]
packages = ["mmrbdc"]
"""


def wheel(folder, project, version, text):
    """A wheel of one module; returns its SHA-256."""
    name = project.replace("-", "_")
    module = {"mmcv-lite": "mmcv"}.get(project, name)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, content)
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.name


@pytest.fixture
def project(tmp_path):
    """The small project: how to start its `make env`, and its folder."""
    root, links = tmp_path / "project", tmp_path / "links"
    links.mkdir()
    pins, own = root / "requirements", root / "tools" / "dev"
    shutil.copytree(ROOT / "tools" / "dev", own, ignore=shutil.ignore_patterns("__pycache__"))
    pins.mkdir()
    hashes = (ROOT / "requirements" / "hashes.txt").read_text()
    # Versions that no index has.
    for project, version, text in (
        ("torch", "0.0.9", TORCH),
        ("mmcv-lite", "0.0.9", ""),
    ):
        hashes += "{}  {}\n".format(*wheel(links, project, version, text))
    (pins / "hashes.txt").write_text(hashes)
    official = (ROOT / "requirements" / "official.txt").read_text()
    small = [re.search(rf"^{name}==\S+$", official, re.MULTILINE).group() for name in SMALL]
    (pins / "official.txt").write_text("\n".join(small) + "\n")
    (pins / "dev.txt").write_text("")
    (pins / "torch-cu13.txt").write_text("torch==0.0.9\n")
    (pins / "official-mmcv.txt").write_text("mmcv==2.1.0\n")
    (pins / "official-mmcv-lite.txt").write_text("mmcv-lite==0.0.9\n")
    (root / "mmrbdc").mkdir()
    (root / "mmrbdc" / "__init__.py").write_text("")
    (root / "mmrbdc" / "check_env.py").write_text(CHECK_ENV)
    (root / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    (root / "pyproject.toml").write_text(PYPROJECT)
    found = f"{links} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
    env = {**os.environ, "OPS": "0", "PIP_FIND_LINKS": found, "MMRBDC_WHEELS": str(tmp_path / "w")}
    env.pop("PYTHONPATH", None)
    env.pop("CUDA", None)

    def start():
        return subprocess.Popen(
            [sys.executable, own / "start.py", "official"],
            cwd=root,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return root, start


def ended(process):
    output = process.communicate(timeout=500)[0]
    assert process.returncode == 0, output
    return output


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_ready(project):
    root, start = project
    seed = int(os.environ.get("KILLS_SEED", "0"))
    moments = random.Random(seed)
    began = time.monotonic()
    output = ended(start())
    whole = time.monotonic() - began
    assert "[5/5]" in output and "environment ready" in output
    assert "Setting up" not in ended(start())  # its twin that nothing disturbed is left alone
    killed = 0
    for number in range(10):
        if number % 3 == 0:  # from nothing, else from what the last kill left
            shutil.rmtree(root / ".venv", ignore_errors=True)
        process = start()
        try:
            process.communicate(timeout=moments.uniform(0, whole))
        except subprocess.TimeoutExpired:
            killed += 1
        with suppress(ProcessLookupError):  # it ended before
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert killed >= 5
    assert "environment ready" in ended(start())
    assert "Setting up" not in ended(start())
    assert json.loads((root / ".venv" / ".mmrbdc-env.json").read_text())["root"] == str(root)


@pytest.mark.slow
def test_two_at_once_set_up_once_and_say_who_waits(project):
    _, start = project
    first, second = start(), start()
    outputs = sorted((ended(first), ended(second)), key=len)
    assert "Setting up" not in outputs[0] and "Setting up" in outputs[1]
    assert "waiting for another `make env` in this folder to finish" in outputs[0]
    assert all("environment ready" in output for output in outputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm", ["a file", "a file list", "a command", "pip", "the Python", "a stamp"]
)
def test_what_is_damaged_is_repaired(project, harm):
    root, start = project
    ended(start())
    site = next((root / ".venv" / "lib").glob("python3*")) / "site-packages"
    if harm == "a file":
        (site / "six.py").write_text("")
    elif harm == "a file list":
        next(site.glob("addict-*")).joinpath("RECORD").unlink()
    elif harm == "a command":
        (root / ".venv" / "bin" / "mmrbdc").unlink()
    elif harm == "pip":
        shutil.rmtree(site / "pip")
    elif harm == "the Python":
        (root / ".venv" / "bin" / "python").unlink()
    else:
        (root / ".venv" / ".mmrbdc-env.json").write_text('{"root": ')
    output = ended(start())
    assert "Setting up" in output and "environment ready" in output
    assert (root / ".venv" / "bin" / "mmrbdc").exists()
    assert (site / "six.py").stat().st_size > 1000 and (site / "pip").exists()
    assert "Setting up" not in ended(start())
