"""tools/compare.py, as a user calls it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.analysis.coco.coco_files import make_annotations, make_predictions
from tests.analysis.run_dirs import write_demo

ROOT = Path(__file__).parents[2]


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


def test_all_untested_runs_are_named_with_the_commands_that_test_them(compare, tmp_path):
    root = write_demo(tmp_path / "runs")
    for name in ("rbdc", "mask-rcnn_rbdc", "mask-rcnn_random"):
        (root / "deit-seed0" / name / "test.json").unlink()
    (root / "deit-seed0" / "mask-rcnn_random" / "wall.json").unlink()
    with pytest.raises(ValueError, match="3 runs have no test.json") as caught:
        compare.main([str(root)])
    lines = str(caught.value).splitlines()[1:]
    assert all(f"tools/test.py {line.split('tools/test.py ')[1]}" in line for line in lines)
    random, detector, pretraining = lines
    assert "tools/train.py" in random and "--resume &&" in random
    run = root / "deit-seed0" / "mask-rcnn_rbdc"
    config = run / "mask-rcnn_rbdc-deit-micro_scenes.py"
    assert detector.split() == ["python", "tools/test.py", str(config), "--work-dir", str(run)]
    assert "deit-micro_2step_digits" in pretraining and "train.py" not in pretraining


@pytest.fixture
def predictions(tmp_path):
    """Annotations, and predictions of two methods."""
    data = make_annotations(images=6, objects=15)
    made = {"annotations": data}
    made |= {name: make_predictions(data, seed=i) for i, name in enumerate("ab")}
    for name, content in made.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def arguments(folder, *more, a="a.json"):
    pairs = [f"first={folder / a}", f"second={folder / 'b.json'}"]
    annotations = str(folder / "annotations.json")
    return ["--annotations", annotations, "--predictions", *pairs, "--resamples", "20", *more]


def test_prediction_files_alone_are_compared(compare, predictions, capsys):
    out = predictions / "out"
    compare.main(arguments(predictions, "--out", str(out)))
    printed = capsys.readouterr().out
    for word in ("first", "second", "AP75", "first − second", "mask AP"):
        assert word in printed
    assert (out / "comparison.csv").is_file()
    assert "predictions of first and second" in (out / "report.html").read_text()


BAD = {
    "empty": ("[]", "no predictions at all"),
    "other images": ('[{"image_id": 7777, "category_id": 1}]', "'image_id' that"),
    "other categories": ('[{"image_id": 10, "category_id": 999}]', "999"),
    "half a file": ('[{"image_id": 1', "is not JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_predictions_end_with_one_line_and_no_report(compare, predictions, case, capsys):
    content, message = BAD[case]
    image = json.loads((predictions / "annotations.json").read_text())["images"][0]["id"]
    (predictions / "bad.json").write_text(content.replace(": 10,", f": {image},"))
    out = predictions / "out"
    with pytest.raises(ValueError, match="bad.json") as caught:
        compare.main(arguments(predictions, "--out", str(out), a="bad.json"))
    assert message in str(caught.value)
    assert not out.exists() and capsys.readouterr().out == ""


def test_arguments_that_do_not_go_together_are_refused(compare, predictions):
    for wrong, message in (
        (["runs", *arguments(predictions)], "not both"),
        (["--predictions", "a=b.json"], "needs --annotations"),
        ([], "no work dirs"),
        ([*arguments(predictions), "--resamples", "-1"], "0 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            compare.main(wrong)
