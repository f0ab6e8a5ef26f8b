"""Which Python makes the environment, its C headers, and pip where the system brings none.

Debian splits Python: `python3` alone has neither `ensurepip` (package python3-venv) nor `Python.h`
(python3-dev). Both are made up for here where that works without touching the system.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from steps import SetupError, Steps, clean_environ, output_of, say

OLDEST, NEWEST = (3, 10), (3, 14)
PROBE = """
import importlib.util, json, os, sys, sysconfig
print(json.dumps({
    "executable": sys.executable,
    "version": list(sys.version_info[:3]),
    "headers": os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")),
    "ensurepip": importlib.util.find_spec("ensurepip") is not None,
}))
"""


@dataclass(frozen=True)
class Python:
    """What a Python interpreter has; ``headers`` is ``Python.h``."""

    executable: str
    version: tuple[int, int, int]
    headers: bool
    ensurepip: bool

    @property
    def short(self) -> str:
        """``3.11``."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def full(self) -> str:
        """``3.11.7``."""
        return ".".join(map(str, self.version))

    @property
    def supported(self) -> bool:
        """Whether the pinned packages have wheels for it."""
        return OLDEST <= self.version[:2] <= NEWEST


FETCHED = Python("uv's python3.13", (3, 13, 0), headers=True, ensurepip=True)
"""What uv would fetch."""


def python_tag(python: Python) -> str:
    """``cp311``."""
    return f"cp{python.version[0]}{python.version[1]}"


def probe(command: str) -> Python | None:
    """Ask an interpreter what it has; ``None`` when it does not run."""
    output = output_of([command, "-I", "-c", PROBE])
    if output is None:
        return None
    facts = json.loads(output)
    facts["version"] = tuple(facts["version"])
    return Python(**facts)


def all_pythons() -> list[Python]:
    """The interpreter that runs this file, then others on the PATH, from the best supported on."""
    names = [sys.executable, "python3", "/usr/bin/python3"]
    names += [f"python3.{minor}" for minor in (11, 12, 13, 10, 14)]
    found: dict[str, Python] = {}
    for name in names:
        python = probe(name) if shutil.which(name) else None
        if python:
            found.setdefault(os.path.realpath(python.executable), python)
    return list(found.values())


def unpack_debian(package: str, folder: Path) -> None:
    """Fetch Debian's package and unpack it into ``folder``; nothing is installed.

    What cannot be had leaves the folder without its files.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return
    with tempfile.TemporaryDirectory() as download:
        subprocess.run(
            ["apt-get", "download", package],
            cwd=download,
            env=clean_environ(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        for file in Path(download).glob("*.deb"):
            folder.mkdir(parents=True, exist_ok=True)
            output_of(["dpkg", "-x", file, folder])


def fetch_headers(python: Python, folder: Path) -> dict[str, str]:
    """Python's C headers from Debian's own package, unpacked into ``folder``; nothing is installed.

    Returns:
        Environment variables that let a compiler find them.

    Raises:
        SetupError: they cannot be had here; says what to install.
    """
    include = folder / "usr" / "include" / f"python{python.short}"
    if not (include / "Python.h").exists():
        say(f"      Python.h is missing: fetching libpython{python.short}-dev (not installing it)")
        unpack_debian(f"libpython{python.short}-dev", folder)
    if not (include / "Python.h").exists():
        raise SetupError(
            f"mmcv has to be compiled, and Python.h of {python.executable} is missing. As root: "
            f"apt-get update && apt-get install python{python.short}-dev; then run this again."
        )
    path = f"{include}{os.pathsep}{folder / 'usr' / 'include'}"
    return {"C_INCLUDE_PATH": path, "CPLUS_INCLUDE_PATH": path}


def make_venv(python: Python, venv: Path, steps: Steps) -> None:
    """A virtual environment with pip in it, also where the system has no ``ensurepip``.

    Raises:
        SetupError: no way to get pip worked; names Debian's package.
    """
    if python.ensurepip:
        steps.run([python.executable, "-m", "venv", venv], "python -m venv")
        return
    steps.run([python.executable, "-m", "venv", "--without-pip", venv], "python -m venv")
    say("      this Python has no ensurepip (Debian: python3-venv): pip from python3-pip-whl")
    with tempfile.TemporaryDirectory() as folder:
        unpack_debian("python3-pip-whl", Path(folder))
        wheels = sorted(Path(folder).glob("usr/share/python-wheels/pip-*.whl"))
        if not wheels:
            raise SetupError(
                f"pip could not be put into {venv}: {python.executable} has no ensurepip, and "
                "Debian's package python3-pip-whl cannot be fetched. As root: apt-get update && "
                f"apt-get install python{python.short}-venv; then run this again."
            )
        install_pip(wheels[-1], venv / "bin" / "python", steps)


def install_pip(wheel: Path, inside: Path, steps: Steps) -> None:
    """Install pip's wheel by itself: a wheel is a folder that Python imports from."""
    command = [inside, wheel / "pip", "install", "--no-index", "--no-deps", wheel]
    steps.run(command, "pip install pip")
