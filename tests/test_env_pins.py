"""The pins of `make env`: complete for every Python, stack and torch, each with its hashes."""

import importlib.metadata
import re
import sys

import installed
import make_env
import pins
import pytest
import stacks
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from steps import SetupError

STACKS = [stacks.Stack(name, make_env.ROOT) for name in stacks.NAMES]
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
TORCHES = ["torch-cu13.txt", "torch-cu12.txt"]


def pinned(stack, python, torch=TORCHES[0]):
    """Name -> pinned version for one Python, from all requirement files of an environment."""
    found = {}
    for file in [torch, *stack.files, stack.mmcv_file]:
        for line in (stack.requirements / file).read_text().splitlines():
            if text := line.split("#")[0].strip():
                requirement = Requirement(text)
                where = {"python_version": python, "sys_platform": "linux"}
                if requirement.marker is None or requirement.marker.evaluate(where):
                    name = canonicalize_name(requirement.name)
                    assert name not in found, f"{name} is pinned twice for Python {python}"
                    found[name] = re.fullmatch(r"==([^*]+)", str(requirement.specifier)).group(1)
    return found


@pytest.mark.parametrize("torch", TORCHES)
@pytest.mark.parametrize("stack", STACKS, ids=stacks.NAMES)
@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_has_one_exact_pin_of_each_package(stack, python, torch):
    found = pinned(stack, python, torch)
    fork = "onedl-" if stack.name == "onedl" else ""
    mm = {"official": {"mmdet"}, "onedl": {"onedl-mmdetection", "imaug"}}[stack.name]
    mm |= {f"{fork}mmcv", f"{fork}mmengine", f"{fork}mmpretrain"}
    assert {"torch", "pytest", *mm} <= set(found)
    assert not set(installed.rivals_of(set(found))) & set(found)
    assert "opencv-python" not in found


@pytest.mark.parametrize("python", PYTHONS)
def test_the_stacks_share_the_pins_of_what_they_share(python):
    official, onedl = (pinned(stack, python) for stack in STACKS)
    shared = set(official) & set(onedl)
    assert len(shared) > 80
    assert {name: official[name] for name in shared} == {name: onedl[name] for name in shared}


@pytest.mark.parametrize("torch", TORCHES)
@pytest.mark.parametrize("stack", STACKS, ids=stacks.NAMES)
def test_every_pin_has_the_hash_of_a_file_for_each_python(stack, torch, tmp_path):
    hashes = pins.read_hashes(stack.requirements)
    files = (stack.requirements / "hashes.txt").read_text()
    for python in PYTHONS:
        for name, version in pinned(stack, python, torch).items():
            assert hashes.get((name, version)), f"{name}=={version}"
            tag = "cp" + python.replace(".", "")
            start = rf"(?i)^\w+  {re.sub('[-_.]+', '[-_.]+', name)}-{re.escape(version)}"
            one = rf"({tag}-{tag}|cp3\d+-abi3|py3|py2\.py3|\.tar\.gz|\.zip)"
            assert re.search(rf"{start}.*{one}", files, re.MULTILINE), (python, name)


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("a" * 64 + "  Some_Thing-1.0-py3-none-any.whl", ("some-thing", "1.0")),
        ("a" * 64 + "  torch-2.10.0-3-cp311-cp311-manylinux_2_28_x86_64.whl", ("torch", "2.10.0")),
        ("a" * 64 + "  ruamel.yaml-0.18.tar.gz", ("ruamel-yaml", "0.18")),
    ],
)
def test_hashes_are_found_by_project_and_version(tmp_path, line, known):
    (tmp_path / "hashes.txt").write_text(f"# sums\n\n{line}\n")
    assert pins.read_hashes(tmp_path) == {known: ["a" * 64]}
    written = pins.write_requirements(["==".join(known)], tmp_path, tmp_path / "list.txt")
    assert written.read_text() == f"{'=='.join(known)} --hash=sha256:{'a' * 64}\n"


def test_a_pin_without_a_hash_and_a_torn_list_are_told(tmp_path):
    (tmp_path / "hashes.txt").write_text("a" * 64 + "  thing-1.0-py3-none-any.whl\n")
    with pytest.raises(SetupError, match=r"thing==1.1 is pinned in .*renew_hashes.py"):
        pins.write_requirements(["thing==1.1"], tmp_path, tmp_path / "list.txt")
    (tmp_path / "hashes.txt").write_text("abc  thing-1.0-py3-none-any.whl\n")
    with pytest.raises(SetupError, match="line 1: not a SHA-256"):
        pins.read_hashes(tmp_path)


def stands_for_this_torch(stack, file):
    return importlib.metadata.version("torch").split("+")[0] == stack.version(file, "torch")


def test_the_closure_is_complete():
    """--no-deps is safe: what pinned packages ask for is pinned, in a version that they accept."""
    here = next((stack for stack in STACKS if str(stack.venv) == sys.prefix), STACKS[0])
    torch = next(file for file in TORCHES if stands_for_this_torch(here, file))
    have = pinned(here, f"{sys.version_info[0]}.{sys.version_info[1]}", torch)
    for name in have:
        try:
            wanted = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed here: not an environment of `make env`")
        for text in wanted:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            if requirement.name == "opencv-python":
                continue
            version = have.get(canonicalize_name(requirement.name))
            assert version, f"{name} needs {requirement}, which is not pinned"
            assert requirement.specifier.contains(version, prereleases=True), (name, text, version)
