"""Write ``requirements/hashes.txt``: the SHA-256 of every file that a pin may bring on Linux.

Run it after a change of the pins, in an environment that has uv and packaging (Python 3.11 or
newer); it asks the package index that uv is set up for:

    python tools/dev/renew_hashes.py
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import tomllib

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
SINGLE = ("official.txt", "onedl.txt", "dev.txt", "torch-cu13.txt", "torch-cu12.txt")
SINGLE += ("nvcc-cu13.txt", "official-mmcv.txt", "official-mmcv-lite.txt", "onedl-mmcv.txt")
SINGLE += ("uv.txt",)
WHEEL = re.compile(
    r"(py2\.)?(py3|cp3(10|11|12|13|14)|cp3\d)-(none|abi3|cp3\d+)-"
    r"(any|(.*\.)?(many)?linux\w*_(x86_64|aarch64)(\..*)?)\.whl"
)
HEADER = """# SHA-256 of the files of all pinned packages, for Linux and Python 3.10 to 3.14:
# `make env` installs nothing else. Written by tools/dev/renew_hashes.py.
"""


def is_wanted(file: str) -> bool:
    """Whether the file is a source, or a wheel for a Linux and a Python that is supported."""
    if not file.endswith(".whl"):
        return True
    tags = "-".join(file.rsplit("-", 3)[1:])
    free_threaded = re.search(r"-cp3\d+t-", file) is not None
    return WHEEL.fullmatch(tags) is not None and not free_threaded


def files_of(requirements: Path) -> dict[str, str]:
    """File name -> SHA-256, of every release that the file pins."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "pylock.toml"
        command = ["uv", "pip", "compile", "--quiet", "--no-deps", "--universal"]
        command += ["--python-version", "3.10", str(requirements), "-o", str(lock)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        packages = tomllib.loads(lock.read_text()).get("packages", [])
    found = {}
    for package in packages:
        for file in [*package.get("wheels", []), *filter(None, [package.get("sdist")])]:
            name = unquote(urlsplit(file["url"]).path.rsplit("/", 1)[-1])
            found[name] = file["hashes"]["sha256"]
    return found


def main() -> None:
    """Ask for every file of pins, write the sums sorted by name."""
    hashes: dict[str, str] = {}
    for name in SINGLE:
        hashes.update(files_of(REQUIREMENTS / name))
    lines = [f"{sha}  {file}" for file, sha in sorted(hashes.items()) if is_wanted(file)]
    (REQUIREMENTS / "hashes.txt").write_text(HEADER + "\n" + "\n".join(lines) + "\n")
    print(f"{len(lines)} files of {len(hashes)}", file=sys.stderr)


if __name__ == "__main__":
    main()
