"""Every block of docs/inference.md does what the page says."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain import ImageClassificationInferencer

from mmrbdc.datasets.preprocessing import config_record
from mmrbdc.families import architecture_from_config
from mmrbdc.registry import MODELS
from mmrbdc.weights import DataRecord, WeightsError, publish, save_member

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/inference.md").read_text(), re.S)
SCRIPTS = [block for block in BLOCKS if "_base_" not in block]
CONFIGS = [block for block in BLOCKS if "_base_" in block]
NAME, DETECTOR = "deit-micro_2step_digits", "mask-rcnn_rbdc-deit-micro_scenes"
CLASSES = tuple(f"digit {i}" for i in range(10))


def random_state(architecture):
    layout = architecture.layout()
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.tensor(0)
        if entry.role == "counter"
        else torch.rand(layout.shape(name), generator=generator) - 0.3 * (entry.role != "statistic")
        for name, entry in layout.entries.items()
    }


def write_pretraining(path, architecture, record, **more):
    meta = dict(family=architecture.family, architecture=architecture.to_dict())
    return publish(path, random_state(architecture), {**meta, **record.to_meta(), **more})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the files that the page names."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "configs").symlink_to(ROOT / "configs")
    config = Config.fromfile(ROOT / f"configs/rbdc/{NAME}.py")
    record = DataRecord(config_record(config).preprocessing, CLASSES)
    write_pretraining(
        folder / f"work_dirs/{NAME}/{NAME}", architecture_from_config(config.model), record
    )
    draw = np.random.default_rng(0)
    for name, size in (("three", 32), ("seven", 32), ("scene", 128)):
        image = draw.integers(0, 256, (size, size, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{name}.png"), image)
    detector = Config.fromfile(ROOT / f"configs/{DETECTOR}.py").model
    init_default_scope("mmdet")
    tensors = MODELS.build(dict(detector, _scope_="mmdet")).state_dict()
    work_dir = folder / "work_dirs" / DETECTOR
    work_dir.mkdir()
    meta = dict(dataset_meta=dict(classes=CLASSES))  # as MMEngine writes it
    torch.save(dict(meta=meta, state_dict=tensors), work_dir / "epoch_8.pth")
    return folder


def run(block, place, monkeypatch):
    """Run a block as a process that begins with it."""
    monkeypatch.chdir(place)
    init_default_scope("mmdet" if "mmdet" in block else "mmpretrain")
    names = {}
    exec(compile(block, "docs/inference.md", "exec"), names)
    return names


def test_the_page_has_these_blocks():
    assert (len(SCRIPTS), len(CONFIGS)) == (5, 3)


def test_a_classifier_says_names(place, monkeypatch, capsys):
    inferencer = run(SCRIPTS[0], place, monkeypatch)["inferencer"]
    printed = capsys.readouterr().out
    results = inferencer(["three.png", "seven.png"])
    for result in results:
        assert result["pred_class"] == CLASSES[int(result["pred_scores"].argmax())]
        assert f"{result['pred_class']} 0." in printed
    assert not np.allclose(results[0]["pred_scores"], results[1]["pred_scores"])


def test_a_file_of_before_says_none(place, tmp_path, monkeypatch):
    """The twin: without dataset_meta MMPretrain knows numbers only."""
    monkeypatch.chdir(place)
    init_default_scope("mmpretrain")
    config = f"configs/rbdc/{NAME}.py"
    architecture = architecture_from_config(Config.fromfile(config).model)
    save_member(tmp_path / "old.pth", random_state(architecture), dict(family="deit"))
    inferencer = ImageClassificationInferencer(config, pretrained=str(tmp_path / "old.pth"))
    (result,) = inferencer("three.png")
    assert "pred_label" in result and "pred_class" not in result


def test_logits_and_features(place, monkeypatch):
    names = run(SCRIPTS[1], place, monkeypatch)
    assert names["logits"].shape == (2, 10) and names["features"].shape == (2, 96)
    pixels = config_record(Config.fromfile(f"configs/rbdc/{NAME}.py")).preprocessing
    mean, std = (torch.tensor(v).double().view(3, 1, 1) for v in (pixels.mean, pixels.std))
    expected = (names["images"].flip(1) - mean) / std
    torch.testing.assert_close(names["inputs"].double(), expected, rtol=1e-5, atol=1e-5)


def test_the_record(place, monkeypatch, capsys):
    names = run(SCRIPTS[2], place, monkeypatch)
    assert "mean [123.675, 116.28, 103.53]" in capsys.readouterr().out
    assert names["record"].classes == CLASSES


def test_a_detector(place, monkeypatch):
    prediction = run(SCRIPTS[3], place, monkeypatch)["prediction"]
    assert prediction["labels"] and len(prediction["bboxes"][0]) == 4
    for file in ("drawn/vis/scene.png", "drawn/preds/scene.json"):
        assert (place / file).is_file()
    names = run(SCRIPTS[4], place, monkeypatch)
    assert set(names["names"]) <= set(CLASSES) and names["names"]
    assert names["boxes"].shape == (len(names["names"]), 4)
    assert names["scores"].tolist() == prediction["scores"]


FILES = {
    "resnet50_2step_in1k.pth": dict(type="ResNet", depth=50),
    "deit-half.pth": dict(
        type="VisionTransformer",
        img_size=224,
        arch=dict(embed_dims=192, num_layers=12, num_heads=3, feedforward_channels=768),
    ),
    "resnet-half.pth": dict(type="ResNet", depth=50, base_channels=32, stem_channels=32),
}


def classifier(backbone):
    if backbone["type"] == "ResNet":
        width = 32 * backbone.get("base_channels", 64)
        head = dict(type="LinearClsHead", num_classes=3, in_channels=width)
        return dict(backbone=backbone, neck=dict(type="GlobalAveragePooling"), head=head)
    head = dict(type="VisionTransformerClsHead", num_classes=3, in_channels=192)
    return dict(backbone=backbone, head=head)


@pytest.mark.parametrize("number", range(len(FILES)))
def test_a_config_outside_of_the_repository_takes_a_grown_backbone(number, tmp_path, monkeypatch):
    """Own project, another width: the file fills the backbone whole, and its maps fit the neck."""
    name, backbone = [*FILES.items()][number]
    architecture = architecture_from_config(dict(type="ImageClassifier", **classifier(backbone)))
    imagenet = config_record(Config.fromfile(ROOT / "configs/rbdc/deit-b_2step_in1k.py"))
    write_pretraining(tmp_path / Path(name).stem, architecture, DataRecord(imagenet.preprocessing))
    block = CONFIGS[number].replace("CONFIGS", str(ROOT / "configs"))
    (tmp_path / "mine.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile("mine.py")
    assert any(hook["type"] == "mmrbdc.LoadReportHook" for hook in cfg.custom_hooks)
    assert not config_record(cfg).conflicts(DataRecord(imagenet.preprocessing))
    init_default_scope("mmdet")
    backbone, neck = (
        MODELS.build(dict(cfg.model[p], _scope_="mmdet")) for p in ("backbone", "neck")
    )
    backbone.init_weights()
    assert backbone.load_report["load"]["share"] == 1
    with torch.no_grad():
        levels = neck(backbone(torch.zeros(1, 3, 224, 224)))
    assert [level.shape[1] for level in levels] == [256] * 5

    # The twin: the config's own width, which the page says to change.
    for key in ("arch", "base_channels", "stem_channels"):
        if "_custom.py" in block and cfg.model.backbone.pop(key, None):
            break
    else:
        cfg.model.backbone.depth = 101
    if cfg.model.backbone.type == "mmrbdc.DeiT":
        cfg.model.backbone.arch = "deit-small"
    wrong = MODELS.build(dict(cfg.model.backbone, _scope_="mmdet"))
    with pytest.raises(WeightsError, match=f"{name} is .*the detector's backbone is"):
        wrong.init_weights()
