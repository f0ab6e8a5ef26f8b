"""The benchmark of the detection backbones runs, on small images, and its figures add up."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "detection_backbone.py"


@pytest.mark.slow
def test_benchmark(tmp_path):
    out = tmp_path / "result.json"
    command = [sys.executable, str(BENCHMARK), "--arch", "deit-tiny", "--img-size", "224"]
    command += ["--window-size", "5", "--repeats", "2", "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "over full: time over FLOPs" in run.stdout and "target at most 0.4" in run.stdout
    found = json.loads(out.read_text())["results"]["deit-tiny"]
    assert found["flops"]["windows"] < min(found["flops"]["sam"], found["flops"]["full"])
    assert all(len(found["seconds"]["cpu"][kind]) == 2 for kind in ("windows", "full", "sam"))
    ratio = found["memory"]["checkpointed"] / found["memory"]["full"]
    assert found["ratios"]["full"]["memory, checkpointed"] == ratio
    assert ratio < 1  # far less where activations outweigh the gradients of the weights
