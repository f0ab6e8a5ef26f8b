"""How values stand in messages."""

import ast
from pathlib import Path

import pytest

from mmrbdc.wording import closest, counted, did_you_mean, quoted

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("values", "options", "text"),
    [
        ([], {}, "none"),
        (["a b", "c\n"], {}, r"'a b', 'c\n'"),
        ((3, 1, 2), {}, "3, 1, 2"),
        ({"x": 1, "y": 2}, {}, "'x', 'y'"),
        ("abcdef", {}, "'a', 'b', 'c', 'd', 'e', ... 6 in all"),
        (range(2000), dict(most=2), "0, 1, ... 2,000 in all"),
        (["[3]", 4], dict(by=str), "[3], 4"),
        (iter("ab"), {}, "'a', 'b'"),
    ],
)
def test_some_are_shown_and_all_are_counted(values, options, text):
    assert quoted(values, **options) == text


@pytest.mark.parametrize(
    ("number", "what", "text"),
    [
        (1, "class", "1 class"),
        (0, "class", "0 classes"),
        (2, "box", "2 boxes"),
        (1500, "image", "1,500 images"),
    ],
)
def test_things_are_counted_in_words(number, what, text):
    assert counted(number, what) == text


def test_the_likest_name_comes_first():
    assert closest("epoch", ["iters", "epochs", "epocs"], most=2) == ["epochs", "epocs"]
    assert closest("epoch", ["iters"]) == []
    assert closest(3, ["iters"]) == []  # a key of a config may be any value


def test_the_hint_is_a_question_or_what_else_there_is_to_say():
    assert did_you_mean("epoch", ["epochs"], "") == "did you mean 'epochs'?"
    assert did_you_mean("epoch", ["epochs"], "", by=str) == "did you mean epochs?"
    assert did_you_mean("x", ["epochs"], "there is epochs") == "there is epochs"


def strings(*folders):
    """Every text in code, with its place; docstrings too."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield f"{path}:{node.lineno}", node.value


def test_nothing_is_counted_as_thing_s():
    told = [place for place, text in strings("mmrbdc", "tools", "benchmarks") if "(s)" in text]
    assert told == []


def test_one_place_knows_which_names_are_like_one():
    asking = [
        path.name for path in (ROOT / "mmrbdc").rglob("*.py") if "difflib" in path.read_text()
    ]
    assert asking == ["wording.py"]
