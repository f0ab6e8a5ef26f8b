"""tools/compare.py, as a user calls it."""

import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
write_demo = runpy.run_path(str(ROOT / "tests" / "analysis" / "run_dirs.py"))["write_demo"]


@pytest.fixture(scope="module")
def compare():
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location("compare", ROOT / "tools" / "compare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_prints_the_table_and_writes_the_report(compare, tmp_path, capsys):
    root = write_demo(tmp_path / "runs", seeds=(0, 1))
    out = tmp_path / "out"
    compare.main([str(root), "--out", str(out)])
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines() if str(out) not in line) <= 100
    for word in ("RBDC", "scratch", "random", "paired by seed", "report.html"):
        assert word in printed
    rows = json.loads((out / "results.json").read_text())
    assert [row["method"] for row in rows] == ["rbdc"] * 2 + ["scratch"] * 2 + ["random"] * 2
    assert "RBDC" in (out / "report.html").read_text()


def test_without_out_nothing_is_written(compare, tmp_path, monkeypatch, capsys):
    root = write_demo(tmp_path / "runs")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    compare.main([str(root)])
    assert "paired by seed" not in capsys.readouterr().out
    assert list((tmp_path / "here").iterdir()) == []


def test_the_report_may_lie_beside_the_runs(compare, tmp_path, capsys):
    root = write_demo(tmp_path / "runs")
    compare.main([str(root), "--out", str(root)])
    first = (root / "results.json").read_bytes()
    compare.main([str(root), "--out", str(root)])
    assert (root / "results.json").read_bytes() == first


def test_a_damaged_run_ends_with_one_line_and_no_report(tmp_path):
    root = write_demo(tmp_path / "runs")
    (root / "deit-seed0" / "rbdc" / "test.json").unlink()
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "compare.py", root, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "test.json" in line and "tools/test.py" in line
    assert not (tmp_path / "out").exists()
