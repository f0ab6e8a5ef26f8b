"""What a run prints while it is set up is shown, unless one line tells why it cannot begin."""

import logging
import sys

import pytest

from mmrbdc.datasets import DataError
from mmrbdc.engine.process import held_output as module
from mmrbdc.engine.process.held_output import held_output


def test_it_is_shown_at_the_end_and_a_logger_goes_on(capsys):
    with held_output():
        handler = logging.StreamHandler(sys.stdout)
        handler.emit(logging.makeLogRecord(dict(msg="a table")))
        print("more of it")
        assert not sys.stdout.isatty()
        assert capsys.readouterr().out == ""
    assert capsys.readouterr().out == "a table\nmore of it\n"
    handler.emit(logging.makeLogRecord(dict(msg="step 1")))
    print("step 2")
    assert capsys.readouterr().out == "step 1\nstep 2\n"


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), DataError("x"), FileNotFoundError("x"), KeyError("S is not in the registry")],
)
def test_it_is_not_shown_where_one_line_tells_what_is_wrong(error, capsys):
    with pytest.raises(type(error)), held_output():
        print("a table")
        raise error
    print("error: x")
    assert capsys.readouterr().out == "error: x\n"


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), KeyError("a bug"), KeyboardInterrupt(), SystemExit(3)]
)
def test_it_is_shown_where_nothing_else_tells(error, capsys):
    """The twin: whoever looks for a bug needs it."""
    with pytest.raises(type(error)), held_output():
        print("a table")
        raise error
    assert capsys.readouterr().out == "a table\n"


def test_who_waits_for_long_sees_it_before_the_end(capsys, monkeypatch):
    monkeypatch.setattr(module, "_LONGEST", -1.0)
    with held_output():
        print("a table")
        assert capsys.readouterr().out == "a table\n"
