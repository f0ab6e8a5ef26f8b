"""benchmarks/bootstrap_ap.py on a small problem: both ways agree, and what it prints and writes."""

import importlib.util
import json
from pathlib import Path

PATH = Path(__file__).resolve().parents[3] / "benchmarks" / "bootstrap_ap.py"
SMALL = "--images 30 --categories 5 --boxes 150 --detections 12 --resamples 20 --repeats 2"


def test_a_small_run(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("bootstrap_ap", PATH)
    assert spec and spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    out = tmp_path / "times.json"
    benchmark.main([*SMALL.split(), "--out", str(out)])
    written = json.loads(out.read_text())
    assert len(written["turns"]) == 2
    assert written["settings"]["resamples"] == 20
    assert written["ratios"]["cpu_seconds"] > 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        f"CPU time over pycocotools': {written['ratios']['cpu_seconds']:.2f} (target 2)"
    )
