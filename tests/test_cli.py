"""A command line ends with its result, or with one readable line."""

import pytest

from mmrbdc.cli import run_cli
from mmrbdc.datasets import DataError
from mmrbdc.plan import PlanError
from mmrbdc.weights import WeightsError


def ending(main, capsys):
    with pytest.raises(SystemExit) as end:
        run_cli(main)
    return end.value.code, capsys.readouterr()


def raising(error):
    def main():
        raise error

    return main


def test_success_is_silent(capsys):
    run_cli(lambda: print("result"))
    output = capsys.readouterr()
    assert (output.out, output.err) == ("result\n", "")


@pytest.mark.parametrize(
    "error",
    [
        PlanError("stages is empty"),
        WeightsError("no such key"),
        DataError("no such folder"),
        FileNotFoundError(2, "No such file", "x.py"),
    ],
)
def test_a_users_mistake_is_one_line_and_code_2(error, capsys, monkeypatch):
    monkeypatch.delenv("MMRBDC_TRACEBACK", raising=False)
    code, output = ending(raising(error), capsys)
    assert code == 2
    assert output.err == f"error: {error}\n"
    assert output.out == ""


def test_the_traceback_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("MMRBDC_TRACEBACK", "1")
    with pytest.raises(PlanError):
        run_cli(raising(PlanError("stages is empty")))


@pytest.mark.parametrize(
    "error",
    [
        TypeError("ViT.__init__() got an unexpected keyword argument 'widht'"),
        KeyError("DeIT is not in the mmpretrain::model registry"),
    ],
)
def test_what_only_a_class_or_a_registry_knows_is_a_users_mistake_too(error, capsys, monkeypatch):
    monkeypatch.delenv("MMRBDC_TRACEBACK", raising=False)
    code, output = ending(raising(error), capsys)
    assert code == 2
    assert output.err.startswith(f"error: {error.args[0]}; ") and output.err.count("\n") == 1


@pytest.mark.parametrize("error", [TypeError("a bug"), KeyError("a bug"), AssertionError("a bug")])
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        run_cli(raising(error))


def test_an_interrupt_ends_with_its_code(capsys):
    code, output = ending(raising(KeyboardInterrupt()), capsys)
    assert (code, output.err) == (130, "interrupted\n")
