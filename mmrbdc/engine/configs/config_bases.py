"""Whether a config and its bases can be read, asked before MMEngine reads them.

MMEngine follows a circle of bases until Python's stack is full, and says of a file that it cannot
open or decode neither which config names it nor what may have been meant.
"""

import ast
import codecs
from pathlib import Path

from mmengine.fileio import load

from mmrbdc.shipped import find_config, near_configs

_OURS = "mmrbdc::"
_KINDS = (".py", ".yml", ".yaml", ".json")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def check_bases(config: Path) -> None:
    """Check the files that a config is made of.

    Followed is a ``_base_`` of plain text, or a list of such, and ``with read_base()``. A base that
    is computed, or of another package, is left to MMEngine.

    Args:
        config: which is there.

    Raises:
        FileNotFoundError: a base is not there; names the config that asks for it.
        ValueError: a circle of bases; a file that is no config by its name, no UTF-8, or begins
            with a byte-order mark.
    """
    _check(config, [], set())


def configs_like(name: str) -> str:
    """``; did you mean ...`` for a config that is not there, empty where none is like it."""
    near = near_configs(name)
    ours = _OURS if name.startswith(_OURS) else ""
    return f"; did you mean {' or '.join(ours + other for other in near)}?" if near else ""


def _check(config: Path, above: list[Path], seen: set[Path]) -> None:
    file = config.resolve()
    if file in above:
        circle = [*above[above.index(file) :], file]
        raise ValueError(
            f"config {above[0]} never ends: {' inherits from '.join(map(str, circle))}; take out "
            "one of these _base_"
        )
    if file in seen:
        return
    text = _text(config)
    for name, base in _bases(config, text):
        if not base.is_file():
            raise FileNotFoundError(
                f"config {config}: there is no base '{name}'"
                + (f" ({base})" if str(base) != name else "")
                + (configs_like(name) or "; correct _base_")
            )
        _check(base, [*above, file], seen)
    seen.add(file)


def _text(config: Path) -> str:
    if config.suffix not in _KINDS:
        raise ValueError(f"{config} is not a config: their names end in {', '.join(_KINDS)}")
    raw = config.read_bytes()
    if raw.startswith(_UTF16):
        raise ValueError(f"config {config} is written in UTF-16; save it as UTF-8")
    if raw.startswith(codecs.BOM_UTF8):
        raise ValueError(
            f"config {config} begins with a byte-order mark, which MMEngine cannot read; save it "
            "as UTF-8 without one (editors call it BOM, or signature)"
        )
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"config {config} is not UTF-8 (line {line}: {error.reason}); save it as UTF-8"
        ) from error


def _bases(config: Path, text: str) -> list[tuple[str, Path]]:
    """The bases of a config, as they are named and where they lie."""
    try:
        stated, modules = _stated(config, text)
    except Exception:  # whatever is wrong with the file, MMEngine says it
        return []
    names = [stated] if isinstance(stated, str) else stated
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        names = []
    found = list(modules)
    for name in names:
        if name.startswith(_OURS) and "/" in name:
            found.append((name, find_config(name) or Path(name)))
        elif "::" not in name and "{{" not in name:
            found.append((name, config.parent / name))
    return found


def _stated(config: Path, text: str) -> tuple[object, list[tuple[str, Path]]]:
    """What ``_base_`` is, and the files of relative imports below ``read_base()``."""
    if config.suffix != ".py":
        return load(str(config)).get("_base_"), []
    stated: object = None
    modules: list[tuple[str, Path]] = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_base_":
            stated = stated if stated is not None else ast.literal_eval(node.value)
        elif isinstance(node, ast.With):
            imported = [part for part in node.body if isinstance(part, ast.ImportFrom)]
            modules += [_module(config, part) for part in imported if part.level and part.module]
    return stated, modules


def _module(config: Path, part: ast.ImportFrom) -> tuple[str, Path]:
    folder, module = config.absolute().parents[part.level - 1], str(part.module)
    return "." * part.level + module, folder.joinpath(*module.split(".")).with_suffix(".py")
