"""mmcv's wheel: compiled once, kept outside the tree, never mistaken for another build.

A compiled mmcv fits one Python, one torch and one CUDA. pip's own cache knows its version only, so
the wheels are kept in a folder of their own, one sub-folder a combination: ``MMRBDC_WHEELS``, by
default ``~/.cache/mmrbdc/wheels``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lock import locked
from pythons import Python
from steps import SetupError, Steps, output_of, say, tail

CORE_MINUTES = 14
MEMORY_PER_JOB = 2 * 2**30


@dataclass(frozen=True)
class Target:
    """What a wheel is compiled for.

    ``mmcv`` is what pip is asked for (``mmcv==2.1.0`` or ``onedl-mmcv==2.3.6``), ``cuda`` nvcc's
    version, ``None`` for CPU ops; ``archs`` are the GPUs' compute capabilities.
    """

    python: str
    torch: str
    mmcv: str
    cuda: str | None = None
    cuda_home: str | None = None
    archs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name of the folder: ``cp311-torch2.11.0-cu130-mmcv2.1.0-cpu-linux_x86_64``."""
        device = f"nvcc{self.cuda}-sm{'-'.join(self.archs)}" if self.cuda else "cpu"
        platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
        parts = (self.python, f"torch{self.torch}", self.mmcv.replace("==", ""), device, platform)
        return "-".join(re.sub(r"[^\w.-]", "-", part) for part in parts)

    def environ(self) -> dict[str, str]:
        """What mmcv's ``setup.py`` and torch's extension builder are told."""
        # Python asks for debug symbols, which take 40 % of the compiler's time.
        flags = f"{os.environ.get('CPPFLAGS', '')} -g0".strip()
        common = {"MMCV_WITH_OPS": "1", "MAX_JOBS": str(jobs()), "CPPFLAGS": flags}
        if self.cuda is None:
            # Where torch sees a GPU mmcv builds CUDA ops, and fails without an nvcc that fits.
            return {**common, "FORCE_CUDA": "0", "CUDA_VISIBLE_DEVICES": ""}
        assert self.cuda_home
        archs = ";".join(self.archs)
        return {
            **common,
            "FORCE_CUDA": "1",
            "CUDA_HOME": self.cuda_home,
            "TORCH_CUDA_ARCH_LIST": archs,
        }


def jobs() -> int:
    """Compilers at a time: one a core, as far as the memory reaches."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores, memory // MEMORY_PER_JOB))


def wheel_folder() -> Path:
    """Where the wheels are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MMRBDC_WHEELS") or Path(cache) / "mmrbdc" / "wheels").expanduser()


def maybe_cached(python: Python, mmcv: str) -> bool:
    """Whether some wheel for this Python and mmcv is kept: asked before torch is there."""
    # The wheel is named too: after `torch*` the folder of onedl-mmcv matches that of mmcv.
    wheel = mmcv.replace("-", "_").replace("==", "-")
    pattern = f"{python_tag(python)}-torch*-{mmcv.replace('==', '')}-*/{wheel}-*.whl"
    return any(wheel_folder().glob(pattern))


def python_tag(python: Python) -> str:
    """``cp311``."""
    return f"cp{python.version[0]}{python.version[1]}"


def ask(venv_python: Path, root: Path | None) -> dict[str, Any]:
    """What ``python -m mmrbdc.check_env --ops`` says: torch, its GPUs, and how mmcv's ops do.

    Args:
        venv_python: the venv's interpreter.
        root: the repository, or ``None`` to use mmrbdc as it is installed in the venv.

    Returns:
        ``root`` (of the mmrbdc that answered), ``torch``, ``torch_cuda``, ``archs``, then ``cpu``
        and, with a GPU, ``cuda``: an empty string or what is wrong. A crash leaves out the rest.
    """
    facts: dict[str, Any] = {}
    env = {"PYTHONPATH": str(root)} if root else {}
    command = [venv_python, "-m", "mmrbdc.check_env", "--ops"]
    output = output_of(command, env, cwd=venv_python.parent, must_succeed=False)
    for line in (output or "").splitlines():
        if line.startswith("{"):
            facts.update(json.loads(line))
    return facts


def target_for(python: Python, mmcv: str, facts: Mapping[str, Any]) -> tuple[Target, str]:
    """What to compile for here, and a remark, if not empty, on why a GPU gets no ops."""
    torch = str(facts["torch"])
    archs = tuple(facts.get("archs") or ())
    cpu = Target(python_tag(python), torch, mmcv)
    if not archs:
        return cpu, ""
    home, version = find_nvcc()
    want = str(facts.get("torch_cuda"))
    if home is None or version is None:
        return (
            cpu,
            f"a GPU is here but no nvcc: install the CUDA {want} toolkit to get mmcv's CUDA ops",
        )
    if version.split(".")[0] != want.split(".")[0]:
        return (
            cpu,
            f"nvcc {version} does not fit torch's CUDA {want}: mmcv's ops are built for the CPU",
        )
    return Target(cpu.python, torch, mmcv, version, home, archs), ""


def find_nvcc() -> tuple[str | None, str | None]:
    """CUDA's home and nvcc's version (``13.0``), or two ``None``."""
    nvcc = shutil.which("nvcc")
    home = os.environ.get("CUDA_HOME") or (nvcc and str(Path(nvcc).resolve().parents[1]))
    home = home or "/usr/local/cuda"
    version = re.search(r"release (\d+\.\d+)", output_of([f"{home}/bin/nvcc", "--version"]) or "")
    return (home, version.group(1)) if version else (None, None)


def works(facts: Mapping[str, Any], target: Target) -> bool:
    """Whether the ops that the target promises were run and are right."""
    return facts.get("cpu") == "" and (target.cuda is None or facts.get("cuda") == "")


def install(
    target: Target, venv_python: Path, root: Path, steps: Steps, headers: Mapping[str, str]
) -> None:
    """Put mmcv into the venv, from the kept wheel or a new one, and run its ops.

    Args:
        target: what it has to fit.
        venv_python: the venv's interpreter; torch is installed there.
        root: the repository.
        steps: where progress and output go.
        headers: environment variables that make ``Python.h`` findable.

    Raises:
        SetupError: it does not compile, or its ops do not run.
    """
    folder = wheel_folder() / target.key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.parent / f".{target.key}.lock", f"another build of {target.key}"):
        kept = sorted(folder.glob("*.whl"))
        if kept:
            say(f"      using the wheel kept in {folder}")
            if try_wheel(kept[0], target, venv_python, root, steps):
                return
            say("      the kept wheel does not work here: compiling it anew")
            shutil.rmtree(folder)
        wheel = compile_wheel(target, folder, venv_python, steps, headers)
        if not try_wheel(wheel, target, venv_python, root, steps):
            shutil.rmtree(folder)
            facts = ask(venv_python, root)
            raise SetupError(
                f"{target.mmcv} was compiled, but its ops do not run: {facts.get('cpu')} "
                f"{facts.get('cuda', '')}\nThe build's output: {steps.log}"
            )


def try_wheel(wheel: Path, target: Target, venv_python: Path, root: Path, steps: Steps) -> bool:
    """Install a wheel and run its ops; ``False`` when it cannot be installed or they fail."""
    pip = [venv_python, "-m", "pip", "install", "--no-deps", "--no-index", "--force-reinstall"]
    try:
        steps.run([*pip, wheel], "pip install mmcv")
    except SetupError:
        return False
    return works(ask(venv_python, root), target)


def compile_wheel(
    target: Target, folder: Path, venv_python: Path, steps: Steps, headers: Mapping[str, str]
) -> Path:
    """Compile mmcv into ``folder``, which appears only when it is complete; return the wheel."""
    minutes = max(1, round(CORE_MINUTES / jobs()))
    say(f"      compiling {target.mmcv}, {jobs()} files at a time, for {target.key}")
    say(
        f"      (about {minutes} min; only once, the wheel is kept in {folder})"
        if target.cuda is None
        else f"      (CUDA ops, several times {minutes} min; only once, kept in {folder})"
    )
    build = folder.parent / f".build-{target.key}"
    shutil.rmtree(build, ignore_errors=True)
    command = [
        venv_python,
        "-m",
        "pip",
        "wheel",
        "--no-cache-dir",
        "--no-build-isolation",
        "--no-deps",
    ]
    name = target.mmcv.split("==")[0]
    # ninja, which compiles in parallel, is looked for on the PATH.
    path = f"{venv_python.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    steps.run(
        [*command, "--no-binary", name, "--wheel-dir", build, target.mmcv],
        "compiling mmcv",
        {**target.environ(), **headers, "PATH": path},
    )
    wheels = sorted(build.glob("*.whl"))
    if not wheels:
        raise SetupError(f"pip made no wheel of {name}:\n{tail(steps.log)}")
    build.rename(folder)
    return folder / wheels[0].name
