"""What a detector's training and test write down of weights, metric and split; real tiny runs."""

import json
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest
import torch
from mmengine.config import Config
from mmengine.visualization import Visualizer

from mmrbdc.analysis import analyse, collect
from mmrbdc.analysis.reading.detector_runs import LOADED
from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.engine import launch
from mmrbdc.engine.launch import test as run_test
from mmrbdc.engine.launch import train
from mmrbdc.weights import WeightsError, read_checkpoint
from mmrbdc.weights.read import file_sha256
from tests.engine.plain_detectors import NAME, config


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with scenes of digits and a detector trained for two steps in ``first``."""
    place = tmp_path_factory.mktemp("place")
    make_scenes(place / "data" / "digit_scenes", counts=dict(train=4, val=2, test=2))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        train(config("first"))
    return place


@pytest.fixture(autouse=True)
def _here(place, monkeypatch):
    monkeypatch.chdir(place)


def record(path):
    return json.loads(Path(path).read_text())


def test_the_metric_counts_one_number_and_says_so():
    """In the log once, and in the config that is left for others."""
    left = Config.fromfile(f"first/{NAME}.py")
    assert left.val_evaluator.type == left.test_evaluator.type == "mmrbdc.CocoMetric"
    (log,) = Path("first").glob("*/*.log")
    told = [line for line in log.read_text().splitlines() if "CocoMetric is mmrbdc" in line]
    assert len(told) == 1 and "val_evaluator, test_evaluator: " in told[0]
    assert "bbox_mAP" in record("first/val.json")


def test_what_was_tested_is_in_test_json(tmp_path):
    same = {
        "test_dataloader.dataset.ann_file": "annotations/instances_val.json",
        "test_dataloader.dataset.data_prefix.img": "val/",
        "test_evaluator.ann_file": "data/digit_scenes/annotations/instances_val.json",
    }
    figures = run_test(config("first", **same), out=str(tmp_path / "v.json"), max_dets=7)
    left = record(tmp_path / "v.json")
    assert left["split"] == figures["split"] == "validation"
    assert left["max_dets"] == 7


def test_a_run_from_anothers_epoch_file_is_no_random_one():
    """Nor is it after a resume, when MMEngine loads from the run's own folder."""
    run_test(config("first"))
    assert (record("first/test.json")["split"], record("first/test.json")["max_dets"]) == (
        "test",
        100,
    )
    file = "first/epoch_1.pth"
    train(config("second", load_from=file))
    entered = record("second/load_report.json")["load_from"]
    assert (entered["path"], entered["sha256"]) == (file, file_sha256(file))
    fit = entered["load"]
    assert fit["matched"] == len(read_checkpoint(file).state_dict)
    assert not (fit["other_shape"] or fit["missing"] or fit["unused"])
    train(config("second", resume=True, load_from=file))
    assert record("second/load_report.json")["load_from"] == entered
    run_test(config("second"))
    assert record("first/load_report.json")["load_from"] is None
    rows = {row.detector_dir: row for row in collect([Path("first"), Path("second")]).rows}
    assert rows["first"].method == "random"
    assert (rows["second"].method, rows["second"].name) == (LOADED, "first/epoch_1")
    assert len(analyse(collect([Path("first"), Path("second")]), resamples=5).groups) == 2


def other_classes(tmp_path, change):
    """The trained detector's file, whose meta has other classes."""
    content = torch.load("first/epoch_1.pth", weights_only=True)
    classes = content["meta"]["dataset_meta"]["classes"]
    content["meta"]["dataset_meta"]["classes"] = change(list(classes))
    torch.save(content, tmp_path / "other.pth")
    return str(tmp_path / "other.pth")


@pytest.mark.parametrize(
    "change", [lambda names: names[::-1], lambda names: [*names[:-2], names[-1], names[-2]]]
)
def test_a_checkpoint_with_classes_in_another_order_is_not_tested(tmp_path, change):
    path = other_classes(tmp_path, change)
    with pytest.raises(WeightsError, match="other.pth: it has its classes in another order"):
        run_test(config(tmp_path / "work"), path)
    assert not (tmp_path / "work/test.json").exists()


def test_a_checkpoint_with_other_names_is_tested_and_it_is_told(tmp_path):
    path = other_classes(tmp_path, lambda names: ["zero", *names[1:]])
    run_test(config(tmp_path / "work"), path)
    (log,) = (tmp_path / "work").glob("*/*.log")
    assert "1 of its 10 classes have other names than in the data: number 0 is" in log.read_text()


@pytest.mark.parametrize("turned", [True, False])
def test_a_run_that_begins_from_other_classes_says_so(tmp_path, turned):
    path = other_classes(tmp_path, lambda names: names[::-1] if turned else names)
    train(config(tmp_path / "work", load_from=path))
    (log,) = (tmp_path / "work").glob("*/*.log")
    assert ("load_from: it has its classes in another order" in log.read_text()) == turned


def test_heads_of_other_classes_start_anew_and_are_named(tmp_path):
    """As a detector of COCO's 80 classes is fine-tuned on others; in the log and in the report."""
    content = torch.load("first/epoch_1.pth", weights_only=True)
    heads = [name for name in content["state_dict"] if "fc_cls" in name or "fc_reg" in name]
    for name in heads:
        content["state_dict"][name] = torch.zeros(7, *content["state_dict"][name].shape[1:])
    torch.save(content, tmp_path / "other.pth")
    work_dir = tmp_path / "run"
    train(config(work_dir, load_from=str(tmp_path / "other.pth")))
    fit = record(work_dir / "load_report.json")["load_from"]["load"]
    assert sorted(fit["other_shape"]) == sorted(heads) and len(heads) == 4
    assert all(theirs[0] == 7 != ours[0] for theirs, ours in fit["other_shape"].values())
    (log,) = work_dir.glob("*/*.log")
    (line,) = [line for line in log.read_text().splitlines() if " load_from: " in line]
    assert "WARNING" in line and "4 of another shape" in line and heads[0] in line


@pytest.fixture
def own_visualizer(monkeypatch):
    """MMEngine's hook draws with the visualizer that was made last, which may be another test's."""
    monkeypatch.setattr(Visualizer, "_instance_dict", OrderedDict())


def drawn(tmp_path, *names):
    """Test on data with other class names, and draw; how many drawings there are."""
    content = record("data/digit_scenes/annotations/instances_test.json")
    classes = [category["name"] for category in content["categories"]]
    classes = [f"{names[i % len(names)]}{name}" for i, name in enumerate(classes)]
    for category, name in zip(content["categories"], classes, strict=True):
        category["name"] = name
    renamed = tmp_path / "renamed.json"
    renamed.write_text(json.dumps(content))
    options = {
        "test_dataloader.dataset.ann_file": str(renamed),
        "test_dataloader.dataset.metainfo.classes": tuple(classes),
        "test_evaluator.ann_file": str(renamed),
        "default_hooks.visualization.score_thr": 0.0,
    }
    cfg = config("first", **options)
    cfg.work_dir = str(tmp_path / "work")
    run_test(cfg, "first/epoch_1.pth", show_dir="shown")
    return len(list(tmp_path.glob("work/*/shown/*.png")))


FORMULAS = [("$x_1", r"$\frac_{"), ("a_b$", "50 % $_$ off")]


@pytest.mark.usefixtures("own_visualizer")
@pytest.mark.parametrize("names", FORMULAS)
def test_a_class_whose_name_looks_like_a_formula_is_drawn(tmp_path, names):
    with matplotlib.rc_context({"text.parse_math": True}):
        assert drawn(tmp_path, *names) == 2


@pytest.mark.usefixtures("own_visualizer")
def test_twin_a_formula_that_is_none_cannot_be_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "matplotlib", SimpleNamespace(rcParams={}))
    with (
        matplotlib.rc_context({"text.parse_math": True}),
        pytest.raises(ValueError, match="_"),
    ):
        drawn(tmp_path, *FORMULAS[1])
