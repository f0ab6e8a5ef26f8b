"""A family stands in its folder: no code elsewhere asks which family it is, read off the files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmrbdc
from mmrbdc.families import FAMILIES

ROOT = Path(mmrbdc.__file__).parent
HOMES = ("families/__init__.py", "models/backbones/__init__.py")
"""Where all families are listed; beside them each has its folder and its detection backbone."""

_EXAMPLE = re.compile(r"\bmm\w+::\S+")
"""A config that another package ships: what a message or a help page shows for an example."""


def said(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every name and string of a file's code: no docstrings, no examples."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield node.lineno, _EXAMPLE.sub("", node.value)
        elif isinstance(node, ast.alias):
            yield node.lineno, f"{node.name} {node.asname or ''}"
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""
        else:
            for field in ("id", "attr", "arg", "name"):
                text = getattr(node, field, None)
                if isinstance(text, str):
                    yield getattr(node, "lineno", 0), text


def namings(root: Path, name: str, words: tuple[str, ...], homes: tuple[str, ...]) -> list[str]:
    """``FILE:LINE: text`` of all code outside of ``homes`` with ``name``, in whatever case and with
    whatever behind it, or one of ``words`` in it.
    """
    whole = "|".join(rf"\b{word}\b" for word in words)
    pattern = re.compile(rf"(?<![A-Za-z])(?i:{name})|{whole}")
    return [
        f"{path.relative_to(root)}:{line}: {text.strip()}"
        for path in sorted(root.rglob("*.py"))
        if ".mim" not in path.parts and not path.relative_to(root).as_posix().startswith(homes)
        for line, text in said(path)
        if pattern.search(text)
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_named_at_home_alone(name):
    """Neither its name, nor what people call it, nor MMPretrain's classes of it."""
    family = FAMILIES[name]
    words = (*family.titles, *family.backbone_types)
    homes = (*HOMES, f"families/{name}/", f"models/backbones/{name}.py")
    assert namings(ROOT, name, words, homes) == []


def test_a_family_named_elsewhere_is_found(tmp_path):
    """The twin: every way in which code may ask; docstrings and examples may name a family."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "fine.py").write_text(
        '"""Of a DeiT."""\nX = 1\n"""As in deit."""\nprint("like mmpretrain::deit/deit-b.py")\n'
    )
    asks = (
        'if family == "deit": pass',
        "isinstance(a, DeiT)",
        "from mmrbdc.families.deit import architecture",
        "from mmrbdc.families import DeiT",
        "def of_deit(): pass",
        "families.DeiT",
        "f(deit=1)",
        'HEAD = "DeiTClsHead"',
        'message = f"{x} is no DeiT"',
        'KINDS = ("VisionTransformer",)',
    )
    (tmp_path / "weights" / "wrong.py").write_text("\n".join(asks))
    found = namings(tmp_path, "deit", ("VisionTransformer",), ())
    assert {int(line.split(":")[1]) for line in found} == set(range(1, len(asks) + 1))
    assert all(line.startswith("weights/wrong.py") for line in found)
    assert namings(tmp_path, "deit", ("VisionTransformer",), ("weights/wrong",)) == []
