"""What the stacks say by themselves, and what of it is left out."""

import logging
from importlib.metadata import PackageNotFoundError

import mmengine.logging
import pytest

from mmrbdc import supported


@pytest.fixture
def print_log(monkeypatch):
    """MMEngine's own, put back after the test; what mmrbdc makes of it is called in the test."""
    own = getattr(mmengine.logging.print_log, "__wrapped__", mmengine.logging.print_log)
    monkeypatch.setattr(mmengine.logging, "print_log", own)
    return own


def test_the_forks_own_line_is_left_out_and_no_other(print_log, monkeypatch, capsys):
    monkeypatch.setattr(supported, "version", lambda distribution: "1.3.6")
    supported.hush_onedl()
    mmengine.logging.print_log("Could not import OneDL. Skipping it.", level=logging.DEBUG)
    assert capsys.readouterr().out == ""
    mmengine.logging.print_log("Could not import OneDL", level=logging.WARNING)
    mmengine.logging.print_log("another line", level=logging.DEBUG)
    mmengine.logging.print_log("an ordinary line")
    assert capsys.readouterr().out == "Could not import OneDL\nanother line\nan ordinary line\n"


def test_the_official_stack_is_left_as_it_is(print_log, monkeypatch):
    def version(distribution):
        raise PackageNotFoundError(distribution)

    monkeypatch.setattr(supported, "version", version)
    supported.hush_onedl()
    assert mmengine.logging.print_log is print_log
