"""Make, check or repair a stack's environment, ``.venv`` or ``.venv-onedl``: `make env`.

Needs Python 3.10 to 3.14, a C++ compiler and a package index; standard library only. Nothing
outside that folder is touched except the folder of mmcv wheels (see mmcv_wheel.py). What is done on
which machine, and why, says plan.py. A second call checks what the first one left, in seconds:
every file of every package by name and size, and mmcv's compiled ops by running them.

    [CUDA=12|13|cpu] [OPS=0] [UV=1] python3 tools/dev/make_env.py [official | onedl]
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import mmcv_wheel
import pythons
import stacks
import uv
from lock import locked
from machine import Machine, look
from mmcv_wheel import Builder
from options import Options
from pins import write_requirements
from plan import Plan, plan
from stacks import Stack
from steps import SetupError, Steps, clock, fail, output_of, say
from target import Target, works
from troubles import explain

ROOT = Path(__file__).resolve().parents[2]


class DamagedError(SetupError):
    """The venv is beyond repair."""


def sources_hash(stack: Stack) -> str:
    """Hash of everything that says what the environment should be."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    loaded = [Path(getattr(module, "__file__", None) or "/") for module in [*sys.modules.values()]]
    own = {path for path in loaded if path.parent == here}
    own |= {Path(__file__), here / "installed.py", *here.glob("stand_in/*/*.py")}
    project = [stack.root / "setup.py", stack.root / "pyproject.toml"]
    for path in [*sorted(stack.requirements.glob("*.txt")), *sorted(own), *project]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(stack.name.encode())
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, str]:
    """A JSON object that a set-up wrote; empty when there is none that is whole."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def inspect(stack: Stack, files: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Packages of the venv that are missing or damaged, and those that do not belong there.

    Raises:
        DamagedError: the venv's Python or pip does not work.
    """
    paths = [stack.requirements / name for name in files]
    output = output_of([stack.python, Path(__file__).with_name("installed.py"), *paths])
    if output is None:
        raise DamagedError(f"the Python or pip in {stack.venv} does not work")
    found = json.loads(output)
    return found["broken"], found["strangers"]


def all_files(stack: Stack, the_plan: Plan) -> list[str]:
    """The requirement files of a finished environment."""
    lite = not the_plan.target.ops and stack.mmcv_without_ops_file
    return [*the_plan.files, *([] if lite else [stack.mmcv_file])]


def commands(stack: Stack) -> list[str]:
    """The commands that installing mmrbdc puts into ``bin``."""
    text = (stack.root / "pyproject.toml").read_text()
    section = re.search(r"^\[project\.scripts\]\n((?:[^\[\n].*\n?|\n)*)", text, re.MULTILINE)
    return re.findall(r"^([\w-]+) *=", section.group(1), re.MULTILINE) if section else []


def wanted_python() -> pythons.Python | None:
    """The Python that a person named with ``PYTHON=``; ``None`` where nobody did."""
    return pythons.probe(sys.executable) if os.environ.get("MMRBDC_PYTHON_GIVEN") else None


def why_not_ready(stack: Stack, options: Options) -> str:
    """An empty string when the environment is complete and works, else what is not."""
    stamp = read_json(stack.stamp)
    if not stack.python.exists():
        return f"there is no {stack.venv.name} yet"
    if not stamp:
        return "the last set-up did not finish"
    if stamp.get("root") != str(stack.root):
        return f"{stack.venv.name} was made in {stamp.get('root')}"
    if stamp.get("sources") != sources_hash(stack):
        return "the requirements or the set-up changed"
    python = pythons.probe(str(stack.python))
    if python is None:
        return f"the Python or pip in {stack.venv} does not work"
    wanted = wanted_python()
    if wanted and wanted.short != python.short:
        return f"PYTHON is {wanted.short}, {stack.venv.name} has {python.short}"
    machine = look_here(stack, python)
    the_plan = plan(machine, decided(stack, options, machine), stack, has_venv=True)
    if stamp.get("torch_file") != the_plan.files[0]:
        return f"{stamp.get('torch_file')} is installed; {the_plan.notes[1]}"
    try:
        broken, strangers = inspect(stack, all_files(stack, the_plan))
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
    for name in commands(stack):
        if not (stack.venv / "bin" / name).exists():
            return f"the command {name} is missing"
    if "torch" not in facts:
        return "torch does not import"
    target = replace(the_plan.target, torch=str(facts["torch"]))
    # A login node without a card does not judge what was built for the node that has one.
    judged = bool(machine.driver) or stamp.get("archs", "") == ""
    if (judged and stamp.get("mmcv") != target.key) or not works(facts, target):
        return "mmcv is not the one that this machine wants, or its compiled ops do not run here"
    return ""


def look_here(stack: Stack, only: pythons.Python | None) -> Machine:
    """This machine; an mmcv that is installed counts as a wheel that is kept."""
    places = (mmcv_wheel.wheel_folder(), stack.venv / "wheels")
    machine = look(stack.root, places, only)
    installed = read_json(stack.stamp).get("mmcv")
    return replace(machine, wheels=machine.wheels | ({installed} if installed else set()))


def decided(stack: Stack, options: Options, machine: Machine) -> Options:
    """The options; where no driver is in sight, what a machine with one decided for this folder."""
    kept = read_json(stack.options)
    if machine.driver or options.cuda != "auto" or "decided_cuda" not in kept:
        return options
    archs = options.archs or kept.get("decided_archs", "")
    return replace(options, cuda=kept["decided_cuda"], archs=archs)


def usable_venv(stack: Stack) -> pythons.Python | None:
    """The Python of a venv that can be repaired rather than made anew."""
    python = pythons.probe(str(stack.python)) if stack.python.exists() else None
    moved = read_json(stack.stamp).get("root", str(stack.root)) != str(stack.root)
    if moved or python is None or not python.supported:
        return None
    wanted = wanted_python()
    if wanted and wanted.short != python.short:
        return None
    has_pip = output_of([stack.python, "-m", "pip", "--version"]) is not None
    return python if has_pip else None


def remove(venv: Path) -> None:
    """Remove an environment; one that is half removed is never taken for somebody else's."""
    going = venv.with_name(f"{venv.name}-removing")
    shutil.rmtree(going, ignore_errors=True)
    if venv.exists():
        venv.rename(going)
        shutil.rmtree(going, ignore_errors=True)


def pip_install(stack: Stack, steps: Steps, what: str, broken: dict[str, str]) -> None:
    """Install what is missing or damaged, over whatever is left of it; each with its hash."""
    absent = [name for name, problem in broken.items() if problem == "not installed"]
    damaged = [name for name in broken if name not in absent]
    for name in damaged:
        say(f"      repairing {name}: {broken[name]}")
    pip = [stack.python, "-m", "pip", "install", "--no-deps", "--progress-bar", "off"]
    pip.append("--require-hashes")
    list_of = stack.venv / "installing.txt"
    if absent:
        write_requirements(absent, stack.requirements, list_of)
        steps.run([*pip, "-r", list_of], what)
    if damaged:
        write_requirements(damaged, stack.requirements, list_of)
        try:
            steps.run([*pip, "--force-reinstall", "-r", list_of], what)
        except SetupError:
            # pip cannot remove a package whose file list is gone; it can install over it.
            steps.run([*pip, "--ignore-installed", "-r", list_of], what)
    list_of.unlink(missing_ok=True)


def set_up(stack: Stack, options: Options) -> None:
    """Go through all steps; each does only what is not done yet.

    Raises:
        SetupError: a step failed.
        DamagedError: what is there cannot be repaired.
    """
    kept = usable_venv(stack)
    machine = look_here(stack, kept or wanted_python())
    judged = decided(stack, options, machine)
    the_plan = plan(machine, judged, stack, has_venv=stack.venv.exists())
    for note in the_plan.notes:
        say(f"      {note}")
    told = options_to_keep(stack, options, machine, the_plan)
    if not kept:
        remove(stack.venv)
    stack.venv.mkdir(exist_ok=True)
    stack.stamp.unlink(missing_ok=True)
    steps = Steps(len(the_plan.steps), stack.log)
    stack.log.write_bytes(b"")
    stack.options.write_text(json.dumps(told, indent=2) + "\n")
    titles = iter(the_plan.steps)
    files = all_files(stack, the_plan)

    with steps.step(*next(titles)):
        python = the_plan.python
        if the_plan.fetch_python:
            python = uv.fetch_python(machine.pythons, stack, steps)
        headers = {}
        if the_plan.fetch_headers:
            folder = mmcv_wheel.writable_folder(stack.venv / "wheels")
            headers = pythons.fetch_headers(python, folder / f"headers-{python.short}")
        if not kept:
            pythons.make_venv(python, stack.venv, steps)
        _, strangers = inspect(stack, files)
        if strangers:
            say(f"      removing {', '.join(strangers)}: same import names as the pinned packages")
            steps.run([stack.python, "-m", "pip", "uninstall", "--yes", *strangers], "uninstalling")

    for what, part in (("torch", the_plan.files[:1]), ("packages", the_plan.files[1:])):
        broken, _ = inspect(stack, part)
        title, expected = next(titles)
        with steps.step(title, expected if broken else "is there"):
            pip_install(stack, steps, f"installing {what}", broken)
            for name, why in inspect(stack, part)[0].items():
                raise DamagedError(f"after installing, {name} is not in order ({why})")

    with steps.step(*next(titles)):
        facts = mmcv_wheel.ask(stack.python, stack.root)
        if "torch" not in facts:
            raise DamagedError("torch is installed but does not import")
        target = replace(the_plan.target, torch=str(facts["torch"]))
        broken, _ = inspect(stack, files)
        if broken or not works(facts, target):
            builder = Builder(stack.python, stack.root, steps, headers, machine.jobs)
            mmcv_wheel.install(target, builder)

    with steps.step(*next(titles)):
        editable = ["install", "--no-deps", "--no-build-isolation", "--editable", stack.root]
        steps.run([stack.python, "-m", "pip", *editable], "pip install -e .")
        if gpu_is_served(machine, target):
            steps.run([stack.python, "-m", "mmrbdc.check_env"], "python -m mmrbdc.check_env")
    stamp = {
        "root": str(stack.root),
        "sources": sources_hash(stack),
        "python": python.full,
        "torch_file": the_plan.files[0],
        "mmcv": target.key,
        "archs": " ".join(target.archs),
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    stack.stamp.write_text(json.dumps(stamp, indent=2) + "\n")


def gpu_is_served(machine: Machine, target: Target) -> bool:
    """Whether the environment uses every GPU here, so that check_env has nothing to complain of."""
    return not target.ops or not machine.driver or set(machine.cards) <= set(target.archs)


def options_to_keep(
    stack: Stack, options: Options, machine: Machine, the_plan: Plan
) -> dict[str, str]:
    """What was asked for, for the next call and for check_env, and what a driver here decided."""
    told = options.kept()
    if machine.driver:
        told["decided_cuda"] = "12" if "cu12" in the_plan.files[0] else "13"
        told["decided_archs"] = ";".join(the_plan.target.archs)
        return told
    before = read_json(stack.options)
    return {**told, **{name: before[name] for name in before if name.startswith("decided_")}}


def check_owner(stack: Stack) -> None:
    """Leave a folder alone that `make env` did not make.

    Raises:
        SetupError: there is one.
    """
    venv = stack.venv
    ours = any(path.exists() for path in (stack.log, stack.stamp, stack.options))
    if venv.exists() and any(venv.iterdir()) and not ours:
        raise SetupError(
            f"{venv} was not made by `make env`, which would replace packages in it. Move it away "
            "and run this again, or use it as it is: see `python -m mmrbdc.check_env`"
        )


def main(argv: Sequence[str]) -> None:
    """Command line."""
    start = time.monotonic()
    try:
        if len(argv) > 1:
            raise SetupError("usage: make_env.py [official | onedl]")
        stack = stacks.named(argv[0] if argv else "official", ROOT)
        with locked(stack.root, "another `make env` in this folder"):
            options = Options.read(os.environ, read_json(stack.options))
            reason = why_not_ready(stack, options)
            if reason:
                say(f"Setting up {stack.venv}: {reason}.")
                check_owner(stack)
                try:
                    set_up(stack, options)
                except DamagedError as error:
                    say(f"{error}: making {stack.venv.name} anew.")
                    remove(stack.venv)
                    set_up(stack, options)
            said = options.said()
            kept = f"; {said}, as it was told" if said else ""
            python = read_json(stack.stamp).get("python")
            say(f"environment ready: Python {python}{kept} ({clock(time.monotonic() - start)})")
    except SetupError as error:
        fail(error)
    except OSError as error:
        hint = explain(error.strerror or "")
        told = f"{error.filename or 'the set-up'}: {error.strerror}{hint and '; '}{hint}"
        fail(SetupError(told))
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1:])
