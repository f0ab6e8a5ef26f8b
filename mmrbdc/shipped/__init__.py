"""The configs, tools and metafiles that travel with the package, in the folder ``.mim``.

In a checkout its entries are links to those of the repository; the wheel holds the files. MMEngine
looks there for a config that names ``mmrbdc::FOLDER/NAME.py`` as its base; the entry of its table
that says so is made when ``mmrbdc`` is imported.
"""

from pathlib import Path

_CONFIGS = Path(__file__).parent / ".mim" / "configs"
_PREFIX = "mmrbdc::"


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


def shipped_tool(name: str) -> str:
    """How a tool without a subcommand is called: ``tools/NAME`` in a checkout, else its path."""
    root = shipped_root()
    return f"tools/{name}" if root.name != ".mim" else str(root / "tools" / name)
