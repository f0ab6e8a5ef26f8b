"""benchmarks/gpu.py, which waits for a GPU, has run: its small form, on this processor."""

import json
import os
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, BENCHMARK, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )


def test_its_small_form_measures_every_case(tmp_path):
    done = run("--small", "--out", tmp_path / "gpu.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = {row["case"]: row for row in json.loads((tmp_path / "gpu.json").read_text())["rows"]}
    kinds = [name.split(":")[0] for name in rows]
    ways = ["lockstep loop", "lockstep stacked", "lockstep compiled"]
    assert kinds == ["overhead", "memory", "memory", *ways, "backbone", "loader"]
    failed = {name: row["error"] for name, row in rows.items() if "error" in row}
    assert [error for name, error in failed.items() if not name.startswith("memory")] == []
    assert set(failed.values()) == {"the allocator's peak needs a GPU"} and len(failed) == 2
    assert all(0 < row["ratio"] < 1000 for row in rows.values() if "ratio" in row)


def test_without_a_gpu_it_says_so(tmp_path):
    done = run(cwd=tmp_path)
    assert done.returncode == 2 and "there is no GPU here; --small" in done.stderr
