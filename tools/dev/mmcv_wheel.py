"""mmcv's wheel: compiled once, kept outside the tree, never mistaken for another build.

A compiled mmcv fits one Python, one torch and one CUDA. pip's own cache knows its version only, so
the wheels are kept in a folder of their own, one sub-folder a combination: ``MMRBDC_WHEELS``, by
default ``~/.cache/mmrbdc/wheels``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nvcc
import sources
from lock import locked
from steps import SetupError, Steps, output_of, say, tail
from target import Target, works


def wheel_folder() -> Path:
    """Where the wheels are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MMRBDC_WHEELS") or Path(cache) / "mmrbdc" / "wheels").expanduser()


def writable_folder(instead: Path) -> Path:
    """:func:`wheel_folder`, or ``instead`` where that cannot be written; says so."""
    folder = wheel_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
        why = "it cannot be written"
    except OSError as error:
        why = str(error.strerror)
    say(f"      {folder}: {why}; what is new goes to {instead} (MMRBDC_WHEELS names another)")
    instead.mkdir(parents=True, exist_ok=True)
    return instead


def ask(venv_python: Path, root: Path | None) -> dict[str, Any]:
    """What ``python -m mmrbdc.check_env --ops`` says: torch, its GPUs, and how mmcv's ops do.

    Args:
        venv_python: the venv's interpreter.
        root: the repository, or ``None`` to use mmrbdc as it is installed in the venv.

    Returns:
        ``root`` (of the mmrbdc that answered), ``torch``, ``torch_cuda``, ``archs``, ``ops``
        (whether mmcv has any), then ``cpu`` and, with a GPU, ``cuda``: an empty string or what is
        wrong. A crash leaves out the rest.
    """
    facts: dict[str, Any] = {}
    env = {"PYTHONPATH": str(root)} if root else {}
    command = [venv_python, "-m", "mmrbdc.check_env", "--ops"]
    output = output_of(command, env, cwd=venv_python.parent, must_succeed=False)
    for line in (output or "").splitlines():
        if line.startswith("{"):
            facts.update(json.loads(line))
    return facts


@dataclass(frozen=True)
class Builder:
    """What a build needs beside its target.

    Attributes:
        venv_python: the venv's interpreter; torch is installed there.
        root: the repository.
        steps: where progress and output go.
        headers: environment variables that make ``Python.h`` findable.
        jobs: compilers at a time.
    """

    venv_python: Path
    root: Path
    steps: Steps
    headers: Mapping[str, str]
    jobs: int


def install(target: Target, builder: Builder) -> None:
    """Put mmcv into the venv, from the kept wheel or a new one, and run its ops.

    Raises:
        SetupError: it does not compile, or its ops do not run.
    """
    in_venv = builder.venv_python.parents[1] / "wheels"
    kept_in = writable_folder(in_venv)
    with locked(kept_in / f".{target.key}.lock", f"another build of {target.key}"):
        # A folder that cannot be written may still hold the wheel.
        for folder in dict.fromkeys((kept_in, in_venv, wheel_folder())):
            for kept in sorted((folder / target.key).glob("*.whl")):
                say(f"      using the wheel kept in {kept.parent}")
                if try_wheel(kept, target, builder):
                    return
                say("      the kept wheel does not work here: building it anew")
                shutil.rmtree(kept.parent, ignore_errors=True)
        wheel = build_wheel(target, kept_in / target.key, builder)
        if not try_wheel(wheel, target, builder):
            shutil.rmtree(wheel.parent)
            facts = ask(builder.venv_python, builder.root)
            raise SetupError(
                f"{target.mmcv} was built, but its ops do not run: {facts.get('cpu')} "
                f"{facts.get('cuda', '')}\nThe build's output: {builder.steps.log}"
            )


def try_wheel(wheel: Path, target: Target, builder: Builder) -> bool:
    """Install a wheel and run its ops; ``False`` when it cannot be installed or they fail."""
    pip = [builder.venv_python, "-m", "pip", "install", "--no-deps", "--no-index"]
    try:
        builder.steps.run([*pip, "--force-reinstall", wheel], "pip install mmcv")
    except SetupError:
        return False
    return works(ask(builder.venv_python, builder.root), target)


def build_wheel(target: Target, folder: Path, builder: Builder) -> Path:
    """Build mmcv into ``folder``, which appears only when it is complete; return the wheel."""
    say(f"      building {target.mmcv}, {builder.jobs} files at a time, for {target.key}")
    build = folder.parent / f".build-{target.key}"
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    python, steps = builder.venv_python, builder.steps
    source = sources.fetch(target, builder.root / "requirements", python, build, steps)
    sources.mend(source, target)
    if target.ops:
        say(f"      {sources.join(source)} small files of its ops joined into one")
    home = target.cuda_home
    if target.cuda and not home:
        home = str(nvcc.toolkit_of(python, build))
    # ninja, which compiles in parallel, is looked for on the PATH.
    path = f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environ = {**target.environ(builder.jobs, home), **builder.headers, "PATH": path}
    command = [python, "-m", "pip", "wheel", "--no-cache-dir", "--no-build-isolation", "--no-deps"]
    done = build / "done"
    steps.run([*command, "--wheel-dir", done, source], "compiling mmcv", environ)
    wheels = sorted(done.glob("*.whl"))
    if not wheels:
        raise SetupError(f"pip made no wheel of {target.project}:\n{tail(steps.log)}")
    done.rename(folder)
    shutil.rmtree(build, ignore_errors=True)
    return folder / wheels[0].name
