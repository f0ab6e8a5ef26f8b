"""The stacks that an environment is made for: where it lies, and which files pin it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from steps import SetupError

NAMES = ("official", "onedl")


@dataclass(frozen=True)
class Stack:
    """One stack in one clone: ``name`` is of :data:`NAMES`, ``root`` the repository."""

    name: str
    root: Path

    @property
    def venv(self) -> Path:
        """The environment's folder; those of several stacks lie side by side."""
        return self.root / (".venv" if self.name == "official" else f".venv-{self.name}")

    @property
    def stamp(self) -> Path:
        """What a complete set-up leaves."""
        return self.venv / ".mmrbdc-env.json"

    @property
    def log(self) -> Path:
        """The output of the set-up's commands."""
        return self.venv / "make_env.log"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / "bin" / "python"

    @property
    def requirements(self) -> list[Path]:
        """The files that pin everything but mmcv."""
        folder = self.root / "requirements"
        return [folder / f"{self.name}.txt", folder / "dev.txt"]

    @property
    def mmcv_requirement(self) -> Path:
        """The file that pins mmcv."""
        return self.root / "requirements" / f"{self.name}-mmcv.txt"

    @property
    def mmcv(self) -> str:
        """The pinned mmcv, as pip is asked for it: ``mmcv==2.1.0``."""
        text = self.mmcv_requirement.read_text()
        match = re.search(r"^(?:onedl-)?mmcv==\S+", text, re.MULTILINE)
        assert match, self.mmcv_requirement
        return match.group()


def named(name: str, root: Path) -> Stack:
    """The stack of that name.

    Raises:
        SetupError: there is none.
    """
    if name not in NAMES:
        raise SetupError(f"STACK is '{name}'; it can be {' or '.join(NAMES)}: STACK=onedl make env")
    return Stack(name, root)
