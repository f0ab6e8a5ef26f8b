"""Make, check or repair a stack's environment, ``.venv`` or ``.venv-onedl``: `make env`.

Needs Python 3.10 to 3.12, a C++ compiler and a package index; standard library only. Nothing
outside that folder is touched except the folder of mmcv wheels (see mmcv_wheel.py). A second call
checks what the first one left, in seconds: every file of every package by name and size, and mmcv's
compiled ops by running them.

    python3 tools/dev/make_env.py [official | onedl]
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import mmcv_wheel
import pythons
import stacks
from lock import locked
from stacks import Stack
from steps import SetupError, Steps, clock, fail, output_of, say

ROOT = Path(__file__).resolve().parents[2]
TORCH_GROUP = re.compile(r"(torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
NEEDED_BYTES = 9 * 2**30


class DamagedError(SetupError):
    """The venv is beyond repair."""


def sources_hash(stack: Stack) -> str:
    """Hash of everything that says what the environment should be."""
    digest = hashlib.sha256()
    own = [Path(__file__), *(Path(module.__file__ or "") for module in (mmcv_wheel, pythons))]
    project = [stack.root / "setup.py", stack.root / "pyproject.toml"]
    for path in [*stack.requirements, stack.mmcv_requirement, *own, *project]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def read_stamp(stack: Stack) -> dict[str, object]:
    """What the last complete set-up wrote; empty when there was none."""
    try:
        stamp = json.loads(stack.stamp.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def inspect(stack: Stack, files: list[Path]) -> tuple[dict[str, str], list[str]]:
    """Packages of the venv that are missing or damaged, and those that do not belong there.

    Raises:
        DamagedError: the venv's Python or pip does not work.
    """
    output = output_of([stack.python, Path(__file__).with_name("installed.py"), *files])
    if output is None:
        raise DamagedError(f"the Python or pip in {stack.venv} does not work")
    found = json.loads(output)
    return found["broken"], found["strangers"]


def why_not_ready(stack: Stack) -> str:
    """An empty string when the environment is complete and works, else what is not."""
    stamp = read_stamp(stack)
    if not stack.python.exists():
        return f"there is no {stack.venv.name} yet"
    if not stamp:
        return "the last set-up did not finish"
    if stamp.get("root") != str(stack.root):
        return f"{stack.venv.name} was made in {stamp.get('root')}"
    if stamp.get("sources") != sources_hash(stack):
        return "the requirements or the set-up changed"
    try:
        broken, strangers = inspect(stack, [*stack.requirements, stack.mmcv_requirement])
    except DamagedError as error:
        return str(error)
    if broken or strangers:
        problems = [f"{name} ({problem})" for name, problem in broken.items()] + [
            f"{name} (does not belong here)" for name in strangers
        ]
        return "not in order: " + ", ".join(problems[:3]) + (", ..." if len(problems) > 3 else "")
    facts = mmcv_wheel.ask(stack.python, None)
    if facts.get("root") != str(stack.root):
        return "mmrbdc is not installed from this folder"
    python = pythons.probe(str(stack.python))
    if python is None or "torch" not in facts:
        return "torch does not import"
    target, _ = mmcv_wheel.target_for(python, stack.mmcv, facts)
    if stamp.get("mmcv") != target.key or not mmcv_wheel.works(facts, target):
        return "mmcv's compiled ops do not run here"
    return ""


def usable_venv(stack: Stack) -> pythons.Python | None:
    """The Python of a venv that can be repaired rather than made anew."""
    python = pythons.probe(str(stack.python)) if stack.python.exists() else None
    moved = read_stamp(stack).get("root", str(stack.root)) != str(stack.root)
    if moved or python is None or not python.supported:
        return None
    has_pip = output_of([stack.python, "-m", "pip", "--version"]) is not None
    return python if has_pip else None


def can_build(stack: Stack, python: pythons.Python) -> bool:
    """Whether mmcv's wheel is kept for this Python, or may be compiled with its own headers."""
    return python.headers or mmcv_wheel.maybe_cached(python, stack.mmcv)


def pip_install(stack: Stack, steps: Steps, what: str, broken: dict[str, str]) -> None:
    """Install what is missing or damaged, over whatever is left of it."""
    absent = [name for name, problem in broken.items() if problem == "not installed"]
    damaged = [name for name in broken if name not in absent]
    for name in damaged:
        say(f"      repairing {name}: {broken[name]}")
    pip = [stack.python, "-m", "pip", "install", "--no-deps", "--progress-bar", "off"]
    if absent:
        steps.run([*pip, *absent], what)
    if damaged:
        try:
            steps.run([*pip, "--force-reinstall", *damaged], what)
        except SetupError:
            # pip cannot remove a package whose file list is gone; it can install over it.
            steps.run([*pip, "--ignore-installed", *damaged], what)


def set_up(stack: Stack) -> None:
    """Go through all steps; each does only what is not done yet.

    Raises:
        SetupError: a step failed.
        DamagedError: what is there cannot be repaired.
    """
    kept = usable_venv(stack)
    python = kept or pythons.choose(pythons.candidates(), partial(can_build, stack))
    headers = {}
    if not can_build(stack, python):
        folder = mmcv_wheel.wheel_folder() / f"headers-{python.short}"
        headers = pythons.fetch_headers(python, folder)
    if not kept:
        shutil.rmtree(stack.venv, ignore_errors=True)
    stack.venv.mkdir(exist_ok=True)
    stack.stamp.unlink(missing_ok=True)
    steps = Steps(5, stack.log)
    stack.log.write_bytes(b"")

    with steps.step(f"virtual environment, Python {python.short}", "seconds"):
        if not kept:
            pythons.make_venv(python, stack.venv, steps)
        _, strangers = inspect(stack, [*stack.requirements, stack.mmcv_requirement])
        if strangers:
            say(f"      removing {', '.join(strangers)}: same import names as the pinned packages")
            steps.run([stack.python, "-m", "pip", "uninstall", "--yes", *strangers], "uninstalling")
        broken, _ = inspect(stack, stack.requirements)
        torches = {name: why for name, why in broken.items() if TORCH_GROUP.match(name)}
        rest = {name: why for name, why in broken.items() if name not in torches}

    with steps.step(
        "torch and its CUDA libraries", "1 to 5 min, 2.5 GB" if torches else "is there"
    ):
        pip_install(stack, steps, "installing torch", torches)

    with steps.step("OpenMMLab and all the rest", "about 1 min" if rest else "is there"):
        pip_install(stack, steps, "installing packages", rest)
        for name, why in inspect(stack, stack.requirements)[0].items():
            raise DamagedError(f"after installing, {name} is not in order ({why})")

    with steps.step("mmcv with compiled ops", "seconds; some minutes where it is compiled"):
        facts = mmcv_wheel.ask(stack.python, stack.root)
        if "torch" not in facts:
            raise DamagedError("torch is installed but does not import")
        target, remark = mmcv_wheel.target_for(python, stack.mmcv, facts)
        if remark:
            say(f"      note: {remark}")
        broken, _ = inspect(stack, [stack.mmcv_requirement])
        if broken or not mmcv_wheel.works(facts, target):
            mmcv_wheel.install(target, stack.python, stack.root, steps, headers)

    with steps.step("mmrbdc itself, and a look at everything", "seconds"):
        editable = ["install", "--no-deps", "--no-build-isolation", "--editable", stack.root]
        steps.run([stack.python, "-m", "pip", *editable], "pip install -e .")
        if not remark:
            steps.run([stack.python, "-m", "mmrbdc.check_env"], "python -m mmrbdc.check_env")
    stamp = {
        "root": str(stack.root),
        "sources": sources_hash(stack),
        "python": ".".join(map(str, python.version)),
        "mmcv": target.key,
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    stack.stamp.write_text(json.dumps(stamp, indent=2) + "\n")


def check_machine(stack: Stack) -> None:
    """Say early what would otherwise fail after minutes.

    Raises:
        SetupError: somebody else's folder, no compiler, or too little room.
    """
    venv = stack.venv
    ours = stack.log.exists() or stack.stamp.exists()
    if venv.exists() and any(venv.iterdir()) and not ours:
        raise SetupError(
            f"{venv} was not made by `make env`, which would replace packages in it. Move it away "
            "and run this again, or use it as it is: see `python -m mmrbdc.check_env`"
        )
    if shutil.which("g++") is None and shutil.which("c++") is None:
        raise SetupError(
            "no C++ compiler: mmcv is compiled here. As root: apt-get install g++ make"
        )
    free = shutil.disk_usage(stack.root).free
    if not venv.exists() and free < NEEDED_BYTES:
        need, have = NEEDED_BYTES / 2**30, free / 2**30
        raise SetupError(
            f"{venv.name} needs about {need:.0f} GiB, {stack.root} has {have:.1f} GiB free"
        )


def main(argv: Sequence[str]) -> None:
    """Command line."""
    start = time.monotonic()
    try:
        if len(argv) > 1:
            raise SetupError("usage: make_env.py [official | onedl]")
        stack = stacks.named(argv[0] if argv else "official", ROOT)
        with locked(stack.root, "another `make env` in this folder"):
            reason = why_not_ready(stack)
            if reason:
                say(f"Setting up {stack.venv}: {reason}.")
                check_machine(stack)
                try:
                    set_up(stack)
                except DamagedError as error:
                    say(f"{error}: making {stack.venv.name} anew.")
                    shutil.rmtree(stack.venv)
                    set_up(stack)
            say(f"environment ready ({clock(time.monotonic() - start)})")
    except SetupError as error:
        fail(error)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1:])
