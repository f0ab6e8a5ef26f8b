"""What a set-up depends on: Pythons, NVIDIA's driver and cards, CUDA's toolkit, compiler, disk."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pythons import Python, all_pythons
from steps import output_of


@dataclass(frozen=True)
class Toolkit:
    """An installed CUDA toolkit: its folder and nvcc's version, ``13.0``.

    Attributes:
        lacking: headers that torch's own ask for and that it has not, as where the compiler was
            installed without CUDA's libraries.
    """

    home: str
    version: str
    lacking: tuple[str, ...] = ()

    @property
    def major(self) -> int:
        """``13``."""
        return int(self.version.split(".")[0])


@dataclass(frozen=True)
class Machine:
    """The facts that :func:`plan.plan` judges.

    Attributes:
        pythons: interpreters, the wanted one first, also those that are not supported.
        driver: NVIDIA's driver, ``"580.65.06"``; empty without one.
        cards: the cards' compute capabilities, each once: ``("8.6", "9.0")``.
        toolkit: CUDA's toolkit.
        compiler: whether there is a C++ compiler.
        debian: whether Debian's packages can be fetched.
        free: bytes free where the environment goes.
        jobs: compilers at a time: one a core, as far as the memory reaches.
        wheels: keys of the mmcv wheels that are kept.
    """

    pythons: tuple[Python, ...]
    driver: str = ""
    cards: tuple[str, ...] = ()
    toolkit: Toolkit | None = None
    compiler: bool = True
    debian: bool = True
    free: int = 100 * 2**30
    jobs: int = 2
    wheels: frozenset[str] = frozenset()

    @property
    def driver_major(self) -> int:
        """``580``, 0 without a driver."""
        match = re.match(r"\d+", self.driver)
        return int(match.group()) if match else 0


MEMORY_PER_JOB = 3 * 2**30


def look(root: Path, wheels: Sequence[Path], only: Python | None = None) -> Machine:
    """Look at this machine.

    Args:
        root: where the environment goes.
        wheels: folders where mmcv's wheels are kept.
        only: the one Python in question, where there is no choice.
    """
    driver, cards = find_cards()
    kept = [path.parent.name for folder in wheels for path in folder.glob("[!.]*/*.whl")]
    return Machine(
        pythons=(only,) if only else tuple(all_pythons()),
        driver=driver,
        cards=cards,
        toolkit=find_toolkit(),
        compiler=any(map(shutil.which, ("g++", "c++"))),
        debian=all(map(shutil.which, ("apt-get", "dpkg"))),
        free=shutil.disk_usage(root).free,
        jobs=jobs(),
        wheels=frozenset(kept),
    )


def find_cards() -> tuple[str, tuple[str, ...]]:
    """The driver's version and the cards' compute capabilities, as ``nvidia-smi`` tells them."""
    ask = ["nvidia-smi", "--format=csv,noheader", "--query-gpu=driver_version,compute_cap"]
    # A driver too old to know compute_cap still tells its version.
    text = output_of(ask) or output_of([*ask[:2], "--query-gpu=driver_version"]) or ""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    drivers = [row[0] for row in rows if re.fullmatch(r"\d+(\.\d+)+", row[0])]
    cards = {cell for row in rows for cell in row[1:] if re.fullmatch(r"\d+\.\d+", cell)}
    return (drivers[0] if drivers else ""), tuple(sorted(cards, key=float))


HEADERS = ("cuda_runtime_api.h", "cublas_v2.h", "cusolverDn.h", "cusparse.h")
"""What the headers of torch include of a toolkit."""


def find_toolkit() -> Toolkit | None:
    """CUDA's toolkit: of ``CUDA_HOME``, of the ``nvcc`` on the PATH, or in its usual place.

    Without ``CUDA_HOME`` the one that lacks the fewest headers: an ``nvcc`` on the PATH may be a
    link or a script beside none.
    """
    homes = [os.environ["CUDA_HOME"]] if os.environ.get("CUDA_HOME") else _usual_homes()
    found = [toolkit for home in dict.fromkeys(homes) if (toolkit := _toolkit_in(home))]
    return min(found, key=lambda toolkit: len(toolkit.lacking), default=None)


def _usual_homes() -> list[str]:
    homes = ["/usr/local/cuda"]
    if nvcc := shutil.which("nvcc"):
        homes[:0] = [str(Path(nvcc).resolve().parents[1]), str(Path(nvcc).absolute().parents[1])]
    return homes


def _toolkit_in(home: str) -> Toolkit | None:
    told = output_of([f"{home}/bin/nvcc", "--version"]) or ""
    version = re.search(r"release (\d+\.\d+)", told)
    if version is None:
        return None
    folders = [Path(home, "include"), *Path(home).glob("targets/*/include")]
    lacking = [name for name in HEADERS if not any((one / name).is_file() for one in folders)]
    return Toolkit(home, version.group(1), tuple(lacking))


def jobs() -> int:
    """Compilers at a time: ``MAX_JOBS``, else one a core, as far as the memory reaches."""
    if os.environ.get("MAX_JOBS", "").isdigit():
        return max(1, int(os.environ["MAX_JOBS"]))
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores, memory // MEMORY_PER_JOB))
