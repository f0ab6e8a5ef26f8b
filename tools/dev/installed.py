"""Compare the packages of the running Python with pinned requirement files; runs inside the venv.

Prints one JSON object: ``broken`` maps each requirement that is not intact to what is wrong with
it, ``strangers`` lists distributions that overwrite a pinned one's files.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import Iterator, Set
from importlib.metadata import Distribution, distributions
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

RIVALS = (
    (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    ("mmengine", "onedl-mmengine"),
    ("mmcv", "onedl-mmcv", "mmcv-full", "mmcv-lite"),
    ("mmdet", "onedl-mmdetection"),
    ("mmpretrain", "onedl-mmpretrain", "mmcls"),
    ("imaug", "imgaug"),
)
"""Groups that bring the same import names; pip lets several of a group lie over each other."""


def requirements(files: list[str]) -> Iterator[Requirement]:
    """The requirements of the files that apply to this Python and platform."""
    for file in files:
        for line in Path(file).read_text().splitlines():
            text = line.split("#")[0].strip()
            if text:
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate():
                    yield requirement


def fault(distribution: Distribution | None, requirement: Requirement) -> str:
    """What is wrong with an installed distribution, or an empty string."""
    if distribution is None:
        return "not installed"
    if not requirement.specifier.contains(distribution.version, prereleases=True):
        return f"version {distribution.version}"
    record = distribution.read_text("RECORD")
    if not record:
        return "its file list is gone"
    # Distribution.files leaves out missing files from Python 3.12 on, so the record is read here.
    for file, _, size in csv.reader(record.splitlines()):
        if file.endswith(".pyc"):
            continue
        try:
            found = os.stat(str(distribution.locate_file(file))).st_size
        except OSError:
            return f"{file} is missing"
        if size and found != int(size):
            return f"{file} has {found} bytes instead of {size}"
    return ""


def rivals_of(wanted: Set[str]) -> list[str]:
    """The distributions that would overwrite files of the wanted ones."""
    groups = [group for group in RIVALS if not wanted.isdisjoint(group)]
    return [name for group in groups for name in group if name not in wanted]


def name_of(distribution: Distribution) -> str:
    """Canonical name, or an empty string where the metadata is gone."""
    text = distribution.read_text("METADATA") or ""
    match = re.search(r"^Name: *(\S+)", text, re.MULTILINE)
    return canonicalize_name(match.group(1)) if match else ""


def main(files: list[str]) -> None:
    """Print the comparison."""
    have: dict[str, Distribution] = {}
    twice: set[str] = set()
    for distribution in distributions():
        name = name_of(distribution)
        if name in have:
            twice.add(name)
        have[name] = distribution
    broken: dict[str, str] = {}
    wanted = set()
    for requirement in requirements(files):
        name = canonicalize_name(requirement.name)
        wanted.add(name)
        problem = fault(have.get(name), requirement)
        if name in twice:
            problem = "installed twice"
        if problem:
            broken[f"{requirement.name}{requirement.specifier}"] = problem
    strangers = [name for name in rivals_of(wanted) if name in have]
    json.dump({"broken": broken, "strangers": strangers}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
