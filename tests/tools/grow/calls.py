"""How the tests call tools/grow.py, and look at what comes of it."""

from functools import partial
from pathlib import Path

import pytest
import torch

from mmrbdc.cli import run_cli

TOOL = Path(__file__).parents[3] / "tools" / "grow.py"


def command(config, parents, *more, out="out.pth"):
    return ["--config", config, "--parents", *parents, "--out", out, *more]


def same(state, other):
    return state.keys() == other.keys() and all(torch.equal(state[k], other[k]) for k in state)


def error_of(main, capsys, argv):
    """Run the tool into a mistake: one readable line, code 2, and nothing written."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as ended:
        run_cli(partial(main, argv))
    assert ended.value.code == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), captured.err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    return lines[0]
