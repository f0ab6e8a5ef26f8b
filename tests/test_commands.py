"""The command line of every tool: quick to answer, and helpful where it is mistyped."""

import resource
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mmrbdc.commands import compare, convert, grow, plan, publish, study, test
from mmrbdc.commands.arguments import check_writable
from mmrbdc.datasets.made.digits import POOLS, SMALL_TRAIN
from mmrbdc.datasets.made.scenes import COUNTS
from mmrbdc.growth import DEPTH_OPERATORS, OPERATORS
from mmrbdc.plan import DEFAULT_RATIO
from mmrbdc.weights.libraries import LIBRARIES

ROOT = Path(__file__).parent.parent
LIMIT_S = 1.5
"""CPU time of an answer that needs no library; importing torch alone takes as much."""

TOOLS = [
    path
    for path in sorted((ROOT / "tools").rglob("*.py"))
    if "dev" not in path.parts and "run_cli(main)" in path.read_text()
]


def answer(*command):
    """A command's output, its exit code and the CPU time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = sum(getattr(after, k) - getattr(before, k) for k in ("ru_utime", "ru_stime"))
    return done, spent


@pytest.mark.parametrize("tool", TOOLS, ids=lambda path: path.stem)
def test_help_and_a_mistyped_option_answer_at_once(tool):
    helped, seconds = answer(tool, "--help")
    assert helped.returncode == 0 and f"usage: {tool.name}" in helped.stdout
    assert seconds < LIMIT_S
    wrong, seconds = answer(tool, "--hlep")
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr
    assert "there is no --hlep, did you mean --help?" in wrong.stderr
    assert seconds < LIMIT_S


def test_the_tools_are_all_that_there_are():
    assert len(TOOLS) == 13


def test_what_is_written_out_for_help_is_what_there_is():
    assert ", ".join(OPERATORS) == grow.OPERATORS
    assert grow.DEPTH_OPERATORS == DEPTH_OPERATORS
    assert convert.LIBRARIES == LIBRARIES
    assert plan.DEFAULT_RATIO == DEFAULT_RATIO
    tool = {}
    exec((ROOT / "tools" / "make_demo_data.py").read_text(), {"__name__": "tool"}, tool)
    assert tool["DIGITS"] == tuple(POOLS.values()) and tool["SCENES"] == tuple(COUNTS.values())
    assert tool["SMALL_TRAIN"] == SMALL_TRAIN


@pytest.mark.parametrize(
    "name, words, hint",
    [
        ("train", ["c.py", "--work-dri", "x"], "there is no --work-dri, did you mean --work-dir?"),
        ("test", ["c.py", "--weigths=ema"], "there is no --weigths, did you mean --weights?"),
        ("plan", ["--jsno"], "required: config; there is no --jsno, did you mean --json?"),
        ("compare", ["--xyzzy"], "unrecognized arguments: --xyzzy\n"),
        ("grow", ["--parens", "a", "--out", "b"], "did you mean --parents?"),
    ],
)
def test_a_mistyped_option_is_named_with_the_closest(name, words, hint, capsys):
    with pytest.raises(SystemExit) as end:
        import_module(f"mmrbdc.commands.{name}").main(words)
    assert end.value.code == 2 and hint in capsys.readouterr().err


COMMANDS = {
    compare: lambda place: ["runs", "--out", place / "out"],
    convert: lambda place: ["in.pth", place / "out.pth", "--to", "timm"],
    grow: lambda place: [
        *("--config", "c.py", "--parents", "a.pth", "b.pth"),
        *("--out", place / "out.pth"),
    ],
    publish: lambda place: ["in.pth", "--out", place],
    study: lambda place: ["grid.py", "--out", place],
    test: lambda place: ["config.py", "--out", place / "deep" / "test.json"],
}
"""Command -> arguments by which it writes into a place; nothing else of them is there."""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_a_place_that_cannot_be_written_is_told_first(command, tmp_path):
    """Before anything is read: of a writable place nothing is said, and nothing is left (the
    twin)."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ValueError, match=r"(--out|OUT): nothing can be written into '.*/file"):
        command.main([str(argument) for argument in COMMANDS[command](file)])
    good = tmp_path / "not" / "yet"
    with pytest.raises((ValueError, OSError)) as other:
        command.main([str(argument) for argument in COMMANDS[command](good)])
    assert "can be written" not in str(other.value)
    assert list(tmp_path.iterdir()) == [file]


def test_looking_whether_a_folder_can_be_written_leaves_it_as_it_is(tmp_path):
    (tmp_path / "kept").mkdir()
    check_writable("--out", tmp_path / "kept" / "new")
    check_writable("--out", tmp_path / "kept")
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]
