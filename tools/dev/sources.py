"""mmcv's source: fetched by pip and compared with its hash, mended and joined before it is built.

Two changes, each told while it is made:

* ``mmcv 2.1.0`` reads its version through ``locals()`` after ``exec``, which Python 3.13 ended
  (PEP 667). The function gets a dictionary of its own instead.
* Nearly all the time of a compiler goes into torch's headers, which each of some fifty small
  files reads anew. They are joined into one file, which does what they do.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from pins import write_requirements
from steps import SetupError, Steps, say
from target import Target

STAND_IN = Path(__file__).with_name("stand_in")
EDITS = {
    "mmcv": (
        ("exec(compile(f.read(), version_file, 'exec'))", "exec(f.read(), scope := {})"),
        ("locals()['__version__']", "scope['__version__']"),
    ),
}
NO_OPS_EDIT = (
    "\ntry:\n    import torch\n",
    "\ntry:\n    raise ModuleNotFoundError('built without ops')\n",
)
"""Without torch setup.py leaves out the ops; onedl-mmcv has no other way to ask for that."""
JOINED = "mmrbdc_joined.cpp"
ALONE = "pybind.cpp"
"""The one file that takes long by itself."""


def fetch(target: Target, requirements: Path, venv_python: Path, build: Path, steps: Steps) -> Path:
    """Fetch the source and unpack it into ``build``.

    pip reads a source's name and version by running its ``setup.py``, which fails on Python 3.13
    before it can be mended; a stand-in for setuptools answers instead (``stand_in/``).

    Returns:
        The folder of ``setup.py``.

    Raises:
        SetupError: it cannot be fetched, or its hash is not the pinned one.
    """
    pinned = write_requirements([target.mmcv], requirements, build / "source.txt")
    project, version = target.mmcv.split("==")
    command = [venv_python, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--use-pep517"]
    command += ["--no-build-isolation", "--no-binary", project, "--require-hashes", "-r", pinned]
    told = {"PYTHONPATH": str(STAND_IN), "STAND_IN_NAME": project, "STAND_IN_VERSION": version}
    steps.run([*command, "--dest", build], f"fetching {project}'s source", told)
    archives = sorted(build.glob("*.tar.gz"))
    if len(archives) != 1:
        raise SetupError(f"pip fetched no source of {target.mmcv}; see {steps.log}")
    with tarfile.open(archives[0]) as archive:
        # Pythons before the safe filter unpack it too: its hash is the pinned one.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(build, **safe)
    return next(setup.parent for setup in build.glob("*/setup.py"))


def mend(source: Path, target: Target) -> None:
    """Change what would keep ``setup.py`` from running, or make it build ops.

    Raises:
        SetupError: the source is not the one that the change was made for.
    """
    edits = EDITS.get(target.project, ())
    if not target.ops:
        edits = (*edits, NO_OPS_EDIT)
    setup = source / "setup.py"
    text = setup.read_text(encoding="utf-8")
    for old, new in edits:
        if text.count(old) != 1:
            raise SetupError(
                f"{setup} has {text.count(old)} times {old!r}, expected once: this is another "
                f"{target.mmcv} than the set-up knows; see EDITS in {Path(__file__).name}"
            )
        say(f"      setup.py: {' '.join(old.split())}  ->  {' '.join(new.split())}")
        text = text.replace(old, new)
    setup.write_text(text, encoding="utf-8")


def join(source: Path) -> int:
    """Join the small files of ``mmcv/ops/csrc/pytorch`` into one; return how many there were.

    ``setup.py`` compiles every ``*.cpp`` of that folder, so the joined ones get another name. The
    CPU's kernels (``cpu/``) stay apart: they define helpers of equal names.
    """
    folder = source / "mmcv" / "ops" / "csrc" / "pytorch"
    files = sorted(path for path in folder.glob("*.cpp") if path.name != ALONE)
    lines = []
    for path in files:
        path.rename(path.with_suffix(".inl"))
        lines.append(f'#include "{path.stem}.inl"\n')
    (folder / JOINED).write_text("".join(lines))
    return len(files)
