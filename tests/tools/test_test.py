"""tools/test.py as a user runs it; detectors are in test_demo.py, mistakes in bad_input."""

import json
import runpy
import shutil
from pathlib import Path

import pytest

from mmrbdc.analysis import collect
from mmrbdc.weights.read import file_sha256

ROOT = Path(__file__).parents[2]
NAME = "deit-micro_2step_digits"

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@pytest.fixture
def run(tiny, monkeypatch):
    """Runs the tool in the folder of the tiny data."""
    monkeypatch.chdir(tiny.place)
    main = runpy.run_path(str(ROOT / "tools" / "test.py"))["main"]

    def test(work_dir, *more, **options):
        config, *rest = tiny.arguments(work_dir, **options)
        main([config, *map(str, more), *rest])

    return test


def record(path):
    return json.loads(path.read_text())


def test_a_staged_config_tests_its_final_model(run, finished, tmp_path, capsys):
    """The figures are printed and written, and a comparison finds them beside the run's records."""
    work_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    run(work_dir)
    figures = record(work_dir / "test.json")
    assert figures.keys() == {"split", "top1", "checkpoint"} and figures["split"] == "test"
    final = work_dir / f"{NAME}.pth"
    assert figures["checkpoint"] == {"path": str(final), "sha256": file_sha256(final)}
    assert figures["top1"] % 5 == 0  # of 20 digits
    assert f"top1: {figures['top1']:.4g}" in capsys.readouterr().out
    (row,) = collect([work_dir]).rows
    assert (row.method, row.family, row.top1) == ("rbdc", "deit", figures["top1"])
    assert row.train_flops == record(work_dir / "ledger.json")["total_flops"]


@pytest.mark.parametrize("file", [None, f"{NAME}.safetensors", "stage2_1x96/members/0.pth"])
def test_the_val_split_gives_the_accuracy_that_training_reported(run, finished, tmp_path, file):
    """And so does every other file of the final model."""
    out = tmp_path / "figures" / "val.json"
    checkpoint = [finished / file] if file else []
    options = {"test_dataloader.dataset.data_prefix": "val"}
    run(finished, *checkpoint, "--out", out, **options)
    card = record(finished / f"{NAME}.json")
    assert record(out)["top1"] == card["accuracy"]["val/top1"]
    assert not (finished / "test.json").exists()


def test_only_the_test_split_is_needed(run, finished, tmp_path):
    """A finished model is tested where its training data never were."""
    options = {f"{split}_dataloader.dataset.data_root": "nowhere" for split in ("train", "val")}
    run(finished, "--out", tmp_path / "test.json", **options)
    assert record(tmp_path / "test.json")["split"] == "test"
