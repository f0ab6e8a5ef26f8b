"""Which Python makes the environment, its C headers, and pip where the system brings none.

Debian splits Python: `python3` alone has neither `ensurepip` (package python3-venv) nor `Python.h`
(python3-dev). Both are made up for here where that works without touching the system.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path

from steps import SetupError, Steps, clean_environ, output_of, say

OLDEST, NEWEST = (3, 10), (3, 12)
PIP_VERSION = "26.2.1"
PROBE = """
import importlib.util, json, os, sys, sysconfig
print(json.dumps({
    "executable": sys.executable,
    "version": list(sys.version_info[:3]),
    "headers": os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")),
    "ensurepip": importlib.util.find_spec("ensurepip") is not None,
    "pip": importlib.util.find_spec("pip") is not None,
}))
"""


@dataclass(frozen=True)
class Python:
    """What a Python interpreter has; ``headers`` is ``Python.h``."""

    executable: str
    version: tuple[int, int, int]
    headers: bool
    ensurepip: bool
    pip: bool

    @property
    def short(self) -> str:
        """``3.11``."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def supported(self) -> bool:
        """Whether the pinned packages have wheels for it."""
        return OLDEST <= self.version[:2] <= NEWEST


def probe(command: str) -> Python | None:
    """Ask an interpreter what it has; ``None`` when it does not run."""
    output = output_of([command, "-I", "-c", PROBE])
    if output is None:
        return None
    facts = json.loads(output)
    return Python(**{**facts, "version": tuple(facts["version"])})


def candidates() -> list[Python]:
    """The interpreter that runs this file, then others on the PATH; supported ones only."""
    names = [
        sys.executable,
        "python3",
        "/usr/bin/python3",
        "python3.11",
        "python3.12",
        "python3.10",
    ]
    found: dict[str, Python] = {}
    for name in names:
        python = probe(name) if shutil.which(name) else None
        if python and python.supported:
            found.setdefault(os.path.realpath(python.executable), python)
    return list(found.values())


def choose(pythons: Sequence[Python], can_build: Callable[[Python], bool]) -> Python:
    """The first interpreter that can have mmcv without further ado, else simply the first.

    Raises:
        SetupError: there is none.
    """
    if not pythons:
        have = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(
            f"Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} is needed; python3 here is "
            f"{have} and no other was found. Install one and run: make env PYTHON=/path/to/it"
        )
    return next(filter(can_build, pythons), pythons[0])


def fetch_headers(python: Python, folder: Path) -> dict[str, str]:
    """Python's C headers from Debian's own package, unpacked into ``folder``; nothing is installed.

    Returns:
        Environment variables that let a compiler find them.

    Raises:
        SetupError: they cannot be had here; says what to install.
    """
    include = folder / "usr" / "include" / f"python{python.short}"
    if not (include / "Python.h").exists() and shutil.which("apt-get") and shutil.which("dpkg"):
        say(f"      Python.h is missing: fetching libpython{python.short}-dev (not installing it)")
        with tempfile.TemporaryDirectory() as download:
            subprocess.run(
                ["apt-get", "download", f"libpython{python.short}-dev"],
                cwd=download,
                env=clean_environ(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            for package in Path(download).glob("*.deb"):
                folder.mkdir(parents=True, exist_ok=True)
                output_of(["dpkg", "-x", package, folder])
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
    inside = venv / "bin" / "python"
    say("      this Python has no ensurepip (Debian: python3-venv); getting pip another way")
    if python.pip:
        pip = [python.executable, "-m", "pip", "--python", str(inside)]
        if output_of([*pip, "install", f"pip=={PIP_VERSION}"]) is not None:
            return
    try:
        with tempfile.TemporaryDirectory() as folder:
            wheel = download_pip(Path(folder))
            steps.run(
                [inside, wheel / "pip", "install", "--no-index", "--no-deps", wheel],
                "pip install pip",
            )
    except (OSError, ValueError) as error:
        raise SetupError(
            f"pip could not be put into {venv} ({error}). As root: apt-get install python3-venv "
            "ca-certificates, then the same command again."
        ) from error


def download_pip(folder: Path) -> Path:
    """Fetch pip's wheel from the package index that pip's own settings name; return its path.

    Raises:
        OSError: the index cannot be reached.
        ValueError: it has no such wheel, or the wheel is not what the index says it is.
    """
    index = index_url().rstrip("/") + "/pip/"
    cafile = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=cafile)
    name = f"pip-{PIP_VERSION}-py3-none-any.whl"
    with urllib.request.urlopen(index, context=context, timeout=60) as page:
        listing = page.read().decode()
    link = re.search(rf'href="([^"]*{re.escape(name)})(?:#sha256=([0-9a-f]+))?"', listing)
    if link is None:
        raise ValueError(f"the package index lists no {name}")
    url, sha256 = urllib.parse.urljoin(index, link.group(1)), link.group(2)
    with urllib.request.urlopen(url, context=context, timeout=60) as page:
        content = page.read()
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{name}: its content does not match the hash in the index")
    wheel = folder / name
    wheel.write_bytes(content)
    return wheel


def index_url() -> str:
    """The package index of the user: environment, then pip's configuration files, then PyPI."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    home = Path.home()
    for file in (
        Path(os.environ.get("PIP_CONFIG_FILE", os.devnull)),
        home / ".config" / "pip" / "pip.conf",
        home / ".pip" / "pip.conf",
        Path("/etc/pip.conf"),
    ):
        config = ConfigParser(interpolation=None)
        try:
            config.read(file)
        except (Error, UnicodeDecodeError):
            continue
        for section in ("install", "global"):
            if config.has_option(section, "index-url"):
                return config.get(section, "index-url")
    return "https://pypi.org/simple"
