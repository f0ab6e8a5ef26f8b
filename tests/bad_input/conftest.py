"""Runs a tool into a mistake: one readable line, code 2, nothing written."""

import runpy
from functools import partial

import pytest
from mmengine.logging import MMLogger

from mmrbdc.cli import run_cli
from mmrbdc.datasets.made.scenes import make_scenes
from tests.bad_input.shipped import ROOT


@pytest.fixture(scope="module")
def mains():
    """The main functions of the tools."""
    names = ("train", "test", "plan", "grow", "make_demo_data", "compare")
    return {name: runpy.run_path(str(ROOT / "tools" / f"{name}.py"))["main"] for name in names}


def files(*places):
    paths = [path for place in places for path in sorted(place.rglob("*"))]
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def mistake(mains, tiny, tmp_path, monkeypatch, capsys):
    """Runs a tool into a mistake, and returns what it says.

    Every file and folder stays as it is, and none is new, but for suffixes in ``leaves`` and the
    lock of a work dir, which says who was last in it. Where the error should stand ``alone``,
    nothing is printed before it.
    """
    monkeypatch.chdir(tiny.place)
    loggers = set(MMLogger._instance_dict)

    def run(tool, *argv, leaves=(), alone=False):
        before = files(tiny.place, tmp_path)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_cli(partial(mains[tool], [str(part) for part in argv]))
        assert ended.value.code == 2
        printed, errors = capsys.readouterr()
        assert not alone or not printed
        usage, _, message = errors.partition("error: ")
        assert not usage or usage.startswith("usage: ")
        assert message and "error: " not in message
        after = files(tiny.place, tmp_path)
        for path in after.keys() | before.keys():
            if path.name == ".lock":
                continue
            assert path.suffix in leaves or after.get(path, "gone") == before.get(path, "new"), path
        return message.strip()

    yield run
    # MMEngine names a run by the second. The next test's would get this one's logger, which writes
    # to what pytest has closed by then.
    for name in MMLogger._instance_dict.keys() - loggers:
        del MMLogger._instance_dict[name]


@pytest.fixture
def train_mistake(mistake, tiny, tmp_path):
    """A mistake in tools/train.py, in options of the tiny protocol."""

    def run(*more, work_dir=tmp_path / "run", **keywords):
        return mistake("train", *tiny.arguments(work_dir, *more, **keywords))

    return run


@pytest.fixture
def scenes(tiny):
    make_scenes(tiny.place / "data" / "digit_scenes", counts=dict(train=2, val=1, test=1))
