"""The demo's whole path at a tiny size: its figures mean nothing, its files mean everything."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_demo(folder, *options):
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), "--tiny", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    done = run_demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_results_have_a_row_for_every_method(demo):
    folder, _ = demo
    rows = json.loads((folder / "work_dirs/demo/results.json").read_text())
    assert [row["method"] for row in rows] == ["rbdc", "scratch", "random"]
    for row in rows:
        for key in ("bbox_mAP", "segm_mAP"):
            assert 0 <= row[key] <= 1
        assert row["family"] == "deit" and row["wall_s"] > 0
        assert (row["train_flops"] == 0) == (row["method"] == "random")
        assert (row["top1"] is None) == (row["method"] == "random")


def test_ledgers_agree_with_plans(demo):
    folder, _ = demo
    for method in ("rbdc", "scratch"):
        run = folder / "work_dirs/demo" / method
        planned = json.loads((run / "plan.json").read_text())["total_flops"]
        spent = json.loads((run / "ledger.json").read_text())["total_flops"]
        assert spent == pytest.approx(planned, rel=0.005)


def test_table_is_printed_and_page_stands_alone(demo):
    folder, printed = demo
    for word in ("RBDC", "scratch", "random", "box AP", "mask AP", "junction to stage1_2x48"):
        assert word in printed
    page = (folder / "work_dirs/demo/report.html").read_text()
    assert "<svg" in page
    assert page.count("src=") == page.count('src="data:image/png;base64,')


def test_detectors_say_where_their_backbones_came_from(demo):
    folder, _ = demo
    for method, name in (("rbdc", "deit-micro_2step_digits"), ("random", None)):
        report = json.loads(
            (folder / f"work_dirs/demo/mask-rcnn_{method}/load_report.json").read_text()
        )
        found = report["checkpoint"] and report["checkpoint"]["name"]
        assert found == name


def test_detectors_leave_what_a_comparison_reads(demo):
    folder, printed = demo
    for method in ("rbdc", "scratch", "random"):
        run = folder / "work_dirs/demo" / f"mask-rcnn_{method}"
        cost = json.loads((run / "cost.json").read_text())
        assert cost["images"] == 8 and cost["train_flops"] > 0
        test = json.loads((run / "test.json").read_text())
        assert test["checkpoint"]["path"].endswith(f"mask-rcnn_{method}/epoch_1.pth")
        for kind in ("bbox", "segm"):
            assert Path(folder / test["predictions"][kind]["path"]).is_file()
            assert f"{kind}_mAP_l" in test
        assert test["throughput"]["images_per_s"] > 0 and len(test["classes"]) == 10
        assert json.loads((run / "val.json").read_text())["epoch"] == 1
        assert json.loads((run / "train_config.json").read_text())["train_cfg"]["max_epochs"] == 1
    for word in ("Differences over images", "fine-tuning", "images/s"):
        assert word in printed
    assert "WARNING" not in printed


def test_a_failing_step_stops_the_demo_with_its_log(tmp_path):
    foreign = tmp_path / "data" / "tiny" / "digits" / "train"
    foreign.mkdir(parents=True)
    (foreign / "a.txt").write_text("not made by the demo, so never overwritten")
    done = run_demo(tmp_path)
    assert done.returncode == 2
    assert "error: " in done.stderr and "1.log" in done.stderr
    assert not (tmp_path / "work_dirs" / "demo" / "results.json").exists()
