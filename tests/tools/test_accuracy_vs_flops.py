"""tools/analysis_tools/accuracy_vs_flops.py, as a user calls it."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from tests.analysis.study_dirs import write_study

ROOT = Path(__file__).parents[2]

CURVE = {0.25: 40.0, 0.5: 48.0, 1.0: 56.0}
GROWN = [(1, 0.5, 1.0, 50.0), (1, 0.5, 2.0, 52.0), (2, 0.5, 1.5, 54.0)]


@pytest.fixture(scope="module")
def tool():
    """The tool as a module."""
    path = ROOT / "tools" / "analysis_tools" / "accuracy_vs_flops.py"
    spec = importlib.util.spec_from_file_location("accuracy_vs_flops", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_prints_the_table_and_writes_the_files(tool, tmp_path, capsys):
    root, out = write_study(tmp_path / "runs", CURVE, GROWN), tmp_path / "out"
    tool.main([str(root), "--out", str(out)])
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines() if str(out) not in line) <= 100
    for word in ("RBDC, 1 step", "RBDC, 2 steps", "scratch", "29 %", "saving.json"):
        assert word in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "accuracy_vs_flops.svg",
        "accuracy_vs_ratio.svg",
        "runs.csv",
        "saving.json",
    ]


def test_one_line_a_variant(tool, tmp_path, capsys):
    root = write_study(tmp_path / "runs", CURVE, GROWN)
    tool.main([str(root)])
    rows = [line for line in capsys.readouterr().out.splitlines() if "± 0.4 (3)" in line]
    assert len(rows) == len(CURVE) + len(GROWN)


@pytest.mark.slow
def test_real_runs_are_read(tool, tiny, finished, tmp_path, capsys):
    """A protocol as tools/train.py and tools/test.py leave it, against scratch at two budgets."""
    work_dirs = [Path(shutil.copytree(finished, tmp_path / "rbdc"))]
    tiny.tool("test.py", *tiny.arguments(work_dirs[0]))
    config = ROOT / "configs" / "baselines" / "deit-micro_scratch_digits.py"
    for epochs in (1, 2):
        work_dirs.append(tmp_path / f"scratch{epochs}")
        lengths = {"stages.0.epochs": epochs, "stages.1.epochs": None, "stages.2.epochs": None}
        arguments = tiny.arguments(work_dirs[-1], config=config, **lengths)
        tiny.tool("train.py", *arguments)
        tiny.tool("test.py", *arguments)
    tool.main([*map(str, work_dirs), "--out", str(tmp_path / "out")])
    assert "RBDC, 2 steps" in capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "saving.json").read_text())
    assert [variant["label"] for variant in content["variants"]] == [
        "RBDC, 2 steps",
        "scratch",
        "scratch",
    ]


def test_a_mistake_is_named(tool, tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        tool.main([str(tmp_path)])
