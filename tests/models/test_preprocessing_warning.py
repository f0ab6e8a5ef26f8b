"""A detector that shows its backbone other numbers than the pretraining did is told so."""

import copy
import json
import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.engine.hooks.load_report import LoadReportHook
from mmrbdc.families import architecture_from_config
from mmrbdc.weights import DataRecord, Preprocessing, WeightsError, save_member

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
RGB = Preprocessing(MEAN, STD, "rgb", (32, 32))
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs/mask-rcnn_rbdc-deit-micro_scenes.py"

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "digit_scenes"
    make_scenes(root, counts=dict(train=2, val=2, test=2))
    return root


@pytest.fixture(scope="module")
def classifier():
    """Tensors and meta of a micro DeiT."""
    model = Config.fromfile(ROOT / "configs/rbdc/deit-micro_2step_digits.py").model
    init_default_scope("mmpretrain")
    architecture = architecture_from_config(model)
    meta = dict(family="deit", architecture=architecture.to_dict(), name="grown")
    return MODELS.build(model).state_dict(), meta


@pytest.fixture(scope="module")
def built(scenes, tmp_path_factory):
    """A runner of the micro detector; building one takes seconds."""
    init_default_scope("mmdet")
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir = str(tmp_path_factory.mktemp("built"))
    for split in ("train", "val", "test"):
        loader = cfg[f"{split}_dataloader"]
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(scenes)
    for split in ("val", "test"):
        cfg[f"{split}_evaluator"].ann_file = f"{scenes}/annotations/instances_{split}.json"
    cfg.model.backbone.init_cfg = None
    runner = Runner.from_cfg(cfg)
    runner.cfg.model.backbone.init_cfg = Config.fromfile(CONFIG).model.backbone.init_cfg
    return runner


@pytest.fixture
def detector(classifier, built, tmp_path, monkeypatch):
    """Gives the runner a backbone of a file with some record, and a preprocessor."""

    def make(record, init_cfg=None, **preprocessor):
        tensors, meta = classifier
        save_member(tmp_path / "grown.pth", tensors, {**meta, **record.to_meta()})
        init_default_scope("mmdet")
        cfg = copy.deepcopy(built.cfg)
        cfg.model.backbone.init_cfg.update(checkpoint=str(tmp_path / "grown.pth"))
        cfg.model.backbone.init_cfg.update(init_cfg or {})
        cfg.model.data_preprocessor.update(preprocessor)
        (tmp_path / "run").mkdir()
        monkeypatch.setattr(built, "_work_dir", str(tmp_path / "run"))
        monkeypatch.setattr(built, "cfg", cfg)
        built.model.backbone = MODELS.build(cfg.model.backbone)
        return built

    return make


def warned(runner, point):
    """What the hook warns of before training or a test."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    handler.setLevel(logging.WARNING)
    runner.logger.addHandler(handler)
    hook = next(hook for hook in runner.hooks if isinstance(hook, LoadReportHook))
    getattr(hook, f"before_{point}")(runner)
    runner.logger.removeHandler(handler)
    return lines


def at_start(runner):
    runner.model.backbone.init_weights()
    return warned(runner, "train")


DIFFERENT = {
    "colours": (RGB, dict(bgr_to_rgb=False), "BGR"),
    "exchanged": (RGB, dict(mean=list(STD), std=list(MEAN)), "mean [58.395, 57.12, 57.375]"),
    "0 to 1": (RGB, dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]), "mean [0.485,"),
    "another data set's": (
        Preprocessing((125.307, 122.961, 113.8575), (51.5865, 50.847, 51.255), "rgb"),
        {},
        "mean [123.675,",
    ),
    "caffe's": (Preprocessing((103.53, 116.28, 123.675), (1.0, 1.0, 1.0), "bgr"), {}, "RGB"),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_a_difference_is_warned_of_at_start_and_before_a_test(kind, detector, tmp_path):
    pixels, preprocessor, detectors_own = DIFFERENT[kind]
    runner = detector(DataRecord(pixels), **preprocessor)
    (line,) = at_start(runner)
    for part in (str(tmp_path / "grown.pth"), pixels.label, detectors_own, "preprocessing='any'"):
        assert part in line
    assert f"bgr_to_rgb={pixels.channels == 'rgb'}" in line
    report = json.loads((tmp_path / "run" / "load_report.json").read_text())["preprocessing"]
    assert report["same"] is False and report["pretraining"] == pixels.to_dict()
    assert warned(runner, "test") == [line]
    (tmp_path / "grown.pth").unlink()  # the report knows it still
    assert warned(runner, "test") == [line]


def test_without_a_report_the_file_is_asked(detector, tmp_path):
    runner = detector(DataRecord(RGB), bgr_to_rgb=False)
    (line,) = warned(runner, "test")
    assert RGB.label in line
    (tmp_path / "grown.pth").unlink()
    assert warned(runner, "test") == []


def test_a_detector_that_agrees_is_left_alone(detector, tmp_path):
    runner = detector(DataRecord(RGB))
    assert at_start(runner) == [] == warned(runner, "test")
    report = json.loads((tmp_path / "run" / "load_report.json").read_text())
    assert report["preprocessing"]["same"] is True
    assert report["checkpoint"]["preprocessing"] == RGB.to_dict()


def test_a_difference_that_is_meant(detector, tmp_path):
    runner = detector(DataRecord(RGB), dict(preprocessing="any"), bgr_to_rgb=False)
    assert at_start(runner) == [] == warned(runner, "test")
    report = json.loads((tmp_path / "run" / "load_report.json").read_text())["preprocessing"]
    assert (report["same"], report["wanted"]) == (False, "any")


def test_a_file_that_does_not_say(detector, tmp_path):
    runner = detector(DataRecord(), bgr_to_rgb=False)
    assert at_start(runner) == [] == warned(runner, "test")
    report = json.loads((tmp_path / "run" / "load_report.json").read_text())["preprocessing"]
    assert report["same"] is None and report["pretraining"] is None


def test_a_word_that_is_none_of_the_two(detector):
    with pytest.raises(WeightsError, match="choose 'same' or 'any'"):
        at_start(detector(DataRecord(RGB), dict(preprocessing="all")))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_backbone_that_is_no_number(detector, tmp_path, value):
    runner = detector(DataRecord(RGB))
    content = torch.load(tmp_path / "grown.pth", weights_only=True)
    content["state_dict"]["backbone.pos_embed"][0, 1, 2] = value
    torch.save(content, tmp_path / "grown.pth")
    before = {n: t.clone() for n, t in runner.model.backbone.state_dict().items()}
    with pytest.raises(WeightsError, match=r"grown\.pth: backbone\.pos_embed has 1 "):
        runner.model.backbone.init_weights()
    assert all(torch.equal(t, before[n]) for n, t in runner.model.backbone.state_dict().items())
