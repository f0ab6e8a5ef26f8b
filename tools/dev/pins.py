"""Pinned requirements with the hashes of their files, as pip checks them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from steps import SetupError


def canonical(name: str) -> str:
    """``Typing_Extensions`` -> ``typing-extensions`` (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_hashes(requirements: Path) -> dict[tuple[str, str], list[str]]:
    """Project and version -> SHA-256 of its files, from ``hashes.txt``.

    Raises:
        SetupError: a line that is no sum and file name.
    """
    found: dict[tuple[str, str], list[str]] = {}
    path = requirements / "hashes.txt"
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(
            r"([0-9a-f]{64})  (?:([\w.]+)-([^-]+)-\S+\.whl|(\S+)-([^-]+)\.(?:tar\.gz|zip))", line
        )
        if match is None:
            raise SetupError(f"{path}, line {number}: not a SHA-256 and a file's name: {line[:80]}")
        sha256, wheel, of_wheel, source, of_source = match.groups()
        found.setdefault((canonical(wheel or source), of_wheel or of_source), []).append(sha256)
    return found


def write_requirements(wanted: Iterable[str], requirements: Path, to: Path) -> Path:
    """Write a requirements file of ``name==version`` with every hash; return its path.

    Raises:
        SetupError: a pin without a hash.
    """
    hashes = read_hashes(requirements)
    lines = []
    for pin in wanted:
        name, version = pin.split("==")
        sums = hashes.get((canonical(name), version))
        if not sums:
            raise SetupError(
                f"{pin} is pinned in {requirements}, but hashes.txt there knows no file of it; "
                "after a change of pins: python tools/dev/renew_hashes.py"
            )
        lines.append(" ".join([pin, *(f"--hash=sha256:{one}" for one in sums)]))
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text("\n".join(lines) + "\n")
    return to
