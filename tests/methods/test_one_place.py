"""A method stands in its file: no code of the rooms above asks for one by its name."""

import ast
from pathlib import Path

import mmrbdc
from mmrbdc.growth.run import OPERATORS
from mmrbdc.methods import METHODS

ROOT = Path(mmrbdc.__file__).parent
ROOMS = ("engine", "plan", "studies", "analysis", "runs", "weights", "datasets", "models")
REFERENCE = ("plan/cost.py", "scratch")
"""What the plan calls training the target from random weights, whatever the method is."""


def named(root: Path, names: set[str]) -> list[tuple[str, str]]:
    """File and name of every string of the rooms' code that is a name; docstrings are none."""
    found = []
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            tree = ast.parse(path.read_text())
            text = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            found += [
                (path.relative_to(root).as_posix(), node.value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and node.value in names and id(node) not in text
            ]
    return found


def test_no_room_above_knows_a_method_by_name():
    assert named(ROOT, METHODS.keys() | OPERATORS.keys()) == [REFERENCE]


def test_one_that_is_named_would_be_found(tmp_path):
    (tmp_path / "engine/steps").mkdir(parents=True)
    file = tmp_path / "engine/steps/runner.py"
    file.write_text('"""Trains rbdc."""\n\n\ndef run(method):\n    return method == "rbdc"\n')
    assert named(tmp_path, {"rbdc"}) == [("engine/steps/runner.py", "rbdc")]
