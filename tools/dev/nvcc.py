"""nvcc from PyPI: its packages, laid out as torch and nvcc expect a CUDA toolkit."""

from __future__ import annotations

import os
import re
from pathlib import Path

from steps import SetupError, output_of

FIND = "import sysconfig; print(sysconfig.get_paths()['purelib'])"


def toolkit_of(venv_python: Path, build: Path) -> Path:
    """A folder like ``/usr/local/cuda``, of links into the packages of the environment.

    The packages bring ``bin``, ``nvvm``, ``include`` and ``lib``, but libraries under their full
    names alone (``libcudart.so.13``), while a linker asks for ``libcudart.so`` in ``lib64``.

    Args:
        venv_python: the venv's interpreter; nvcc's packages are installed there.
        build: where the folder goes.

    Raises:
        SetupError: nvcc is not there.
    """
    packages = Path((output_of([venv_python, "-c", FIND]) or "").strip())
    found = sorted(packages.glob("nvidia/cu*/bin/nvcc"))
    if not found:
        raise SetupError(f"{packages} has no nvcc, though its packages are installed")
    origin = found[-1].parents[1]
    for program in (origin / "bin").iterdir():
        if program.is_file() and not os.access(program, os.X_OK):
            program.chmod(0o755)
    home = build / "cuda"
    home.mkdir()
    for name in ("bin", "nvvm", "include"):
        (home / name).symlink_to(origin / name)
    (home / "lib64").mkdir()
    for library in (origin / "lib").iterdir():
        for name in {library.name, re.sub(r"\.so[.\d]*$", ".so", library.name)}:
            link = home / "lib64" / name
            if library.is_file() and not link.exists():
                link.symlink_to(library)
    return home
