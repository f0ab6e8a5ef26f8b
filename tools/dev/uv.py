"""A Python from uv, where the system has none that fits: `make env UV=1`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import mmcv_wheel
from pins import write_requirements
from pythons import FETCHED, Python, probe
from stacks import Stack
from steps import SetupError, Steps, output_of, say


def fetch_python(pythons: Sequence[Python], stack: Stack, steps: Steps) -> Python:
    """Let uv fetch an interpreter into the folder beside mmcv's wheels.

    Args:
        pythons: interpreters that are here; one of them installs uv, where it is not there.
        stack: its pins say which uv.
        steps: where the output goes.

    Raises:
        SetupError: uv cannot be had, or does not reach the place where it gets Pythons.
    """
    folder = mmcv_wheel.writable_folder(stack.venv / "wheels").parent
    program = shutil.which("uv") or install_uv(pythons, stack, folder, steps)
    say(f"      uv fetches Python {FETCHED.short} into {folder / 'pythons'}")
    where = {
        "UV_PYTHON_INSTALL_DIR": str(folder / "pythons"),
        "UV_PYTHON_PREFERENCE": "only-managed",
    }
    try:
        steps.run([program, "python", "install", FETCHED.short], "uv python install", where)
    except SetupError as error:
        raise SetupError(
            f"uv could not fetch Python {FETCHED.short}: it comes from the releases of uv's makers,"
            " not from the package index (UV_PYTHON_INSTALL_MIRROR names a mirror). Install Python "
            f"{FETCHED.short} another way and run: make env PYTHON=/path/to/it\n{error}"
        ) from error
    found = (output_of([program, "python", "find", FETCHED.short], where) or "").strip()
    python = probe(found) if found else None
    if python is None:
        raise SetupError(f"uv fetched a Python, but '{found}' does not run; see {steps.log}")
    return python


def install_uv(pythons: Sequence[Python], stack: Stack, folder: Path, steps: Steps) -> str:
    """Install the pinned uv into a venv of its own, by any Python that has pip to give."""
    version = stack.version("uv.txt", "uv")
    venv = folder / f"uv-{version}"
    if not (venv / "bin" / "uv").exists():
        maker = next((python for python in pythons if python.ensurepip), None)
        if maker is None:
            raise SetupError(
                "uv cannot be installed: no Python here has ensurepip (Debian: python3-venv). "
                "Install uv, or a Python that fits, and run make env again"
            )
        shutil.rmtree(venv, ignore_errors=True)
        steps.run([maker.executable, "-m", "venv", venv], "python -m venv")
        pinned = write_requirements([f"uv=={version}"], stack.requirements, venv / "uv.txt")
        pip = [venv / "bin" / "python", "-m", "pip", "install", "--no-deps", "--require-hashes"]
        steps.run([*pip, "-r", pinned], "installing uv")
    return str(venv / "bin" / "uv")
