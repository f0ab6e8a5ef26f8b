"""The configs, tools and metafiles that travel with the package, in the folder ``.mim``.

In a checkout its entries are links to those of the repository; the wheel holds the files. MMEngine
looks there for a config that names ``mmrbdc::FOLDER/NAME.py`` as its base; the entry of its table
that says so is made when ``mmrbdc`` is imported.
"""

import shlex
from pathlib import Path

from mmrbdc.wording import closest

_CONFIGS = Path(__file__).parent / ".mim" / "configs"
_PREFIX = "mmrbdc::"
_SCRIPTS = {
    "check-data": "misc/check_data.py",
    "convert": "model_converters/convert.py",
    "publish": "publish_model.py",
}
"""Of ``tools``, where a subcommand's has another name than NAME.py."""


def shipped_root() -> Path:
    """The folder that holds ``configs`` and ``tools``: the repository, or what was installed."""
    return _CONFIGS.resolve().parent


def find_config(name: str) -> Path | None:
    """Where a config is: a file of that name here, else the one that is shipped under it.

    Args:
        name: a path; or a name below the shipped ``configs``, with or without ``configs/`` or
            ``mmrbdc::`` in front: ``rbdc/deit-b_2step_in1k.py``.

    Returns:
        The path, ``None`` if there is no such file.
    """
    if not name.startswith(_PREFIX) and Path(name).is_file():
        return Path(name)
    below = name.removeprefix(_PREFIX).removeprefix("configs/")
    shipped = _CONFIGS.resolve() / below
    return shipped if not Path(below).is_absolute() and shipped.is_file() else None


def near_configs(name: str, most: int = 3) -> list[str]:
    """Names below the shipped ``configs`` that may have been meant by one that is none.

    Args:
        name: a path, or a name with or without ``configs/`` or ``mmrbdc::`` in front.
        most: how many.

    Returns:
        Those of the same file name in whatever folder, else those of like names.
    """
    below = name.removeprefix(_PREFIX).removeprefix("configs/")
    root = _CONFIGS.resolve()
    known = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    same = [other for other in known if Path(other).name == Path(below).name]
    if not same:
        same = closest(below, known, most)
    if not same:
        stems = [Path(other).name for other in known]
        close = closest(Path(below).name, stems, most)
        same = [other for other in known if Path(other).name in close]
    return same[:most]


def command(name: str, *words: object) -> str:
    """A command of this project, to be pasted into a shell.

    Args:
        name: a subcommand of ``mmrbdc``, or a script of ``tools`` that is none.
        words: its arguments, quoted where a shell would read them in another way.

    Returns:
        ``python tools/NAME.py WORDS`` in a checkout, ``mmrbdc NAME WORDS`` where the package was
        installed without one.
    """
    root = shipped_root()
    installed = root.name == ".mim"
    script = name if name.endswith(".py") else _SCRIPTS.get(name, f"{name}.py")
    if installed and script != name:
        begin = ["mmrbdc", name]
    else:
        begin = ["python", str(root / "tools" / script) if installed else f"tools/{script}"]
    return shlex.join([*begin, *map(str, words)])
