"""tools/test.py as a user runs it; detectors are tested in test_demo.py, mistakes in test_bad_input.py."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = "deit-micro_2step_digits"

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@pytest.fixture
def run(tiny, monkeypatch):
    """Runs the tool in the folder of the tiny data."""
    monkeypatch.chdir(tiny.place)
    main = runpy.run_path(str(ROOT / "tools" / "test.py"))["main"]

    def test(work_dir, *more, **options):
        main([str(part) for part in (*tiny.arguments(work_dir, **options), *more)])

    return test


def test_a_staged_config_tests_its_final_model(run, finished, tmp_path, capsys):
    run(finished, "--out", tmp_path / "figures" / "test.json")
    figures = json.loads((tmp_path / "figures" / "test.json").read_text())
    assert figures.keys() == {"split", "top1"} and figures["split"] == "test"
    assert figures["top1"] % 5 == 0  # of 20 digits
    assert f"top1: {figures['top1']:.4g}" in capsys.readouterr().out


def test_the_val_split_gives_the_accuracy_that_training_reported(run, finished, tmp_path):
    """And so does every other file of the target's architecture."""
    out = tmp_path / "test.json"
    for checkpoint in (
        [],
        [finished / f"{NAME}.safetensors"],
        [finished / "stage2_1x96/members/0.pth"],
    ):
        options = {"test_dataloader.dataset.data_prefix": "val"}
        arguments = [*checkpoint, "--out", out] if not checkpoint else ["--out", out]
        run(finished, *arguments, **options)
        card = json.loads((finished / f"{NAME}.json").read_text())
        assert json.loads(out.read_text())["top1"] == card["accuracy"]["val/top1"]
