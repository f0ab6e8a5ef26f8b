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
    def options(self) -> Path:
        """What the last set-up was told, complete or not."""
        return self.venv / ".mmrbdc-options.json"

    @property
    def log(self) -> Path:
        """The output of the set-up's commands."""
        return self.venv / "make_env.log"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / "bin" / "python"

    @property
    def requirements(self) -> Path:
        """The folder of all pins."""
        return self.root / "requirements"

    @property
    def files(self) -> tuple[str, ...]:
        """The files that pin everything but torch and mmcv."""
        return (f"{self.name}.txt", "dev.txt")

    @property
    def mmcv_file(self) -> str:
        """The file that pins mmcv."""
        return f"{self.name}-mmcv.txt"

    @property
    def mmcv(self) -> str:
        """The pinned mmcv, as pip is asked for it: ``mmcv==2.1.0``."""
        project = "mmcv" if self.name == "official" else "onedl-mmcv"
        return f"{project}=={self.version(self.mmcv_file, project)}"

    @property
    def mmcv_without_ops_file(self) -> str:
        """The file that pins mmcv's wheel without ops; empty where it is built from the source."""
        return "official-mmcv-lite.txt" if self.name == "official" else ""

    @property
    def mmcv_without_ops(self) -> str:
        """What pip is asked for where mmcv has no ops."""
        file = self.mmcv_without_ops_file
        return f"mmcv-lite=={self.version(file, 'mmcv-lite')}" if file else self.mmcv

    def version(self, file: str, project: str) -> str:
        """The version that a file pins, where it is the same for every Python."""
        text = (self.requirements / file).read_text()
        found = re.findall(rf"^{re.escape(project)}==([^\s;]+)", text, re.MULTILINE)
        assert len(found) == 1, (file, project, found)
        return str(found[0])


def named(name: str, root: Path) -> Stack:
    """The stack of that name.

    Raises:
        SetupError: there is none.
    """
    if name not in NAMES:
        raise SetupError(f"STACK is '{name}'; it can be {' or '.join(NAMES)}: STACK=onedl make env")
    return Stack(name, root)
