"""The full-size detector configs, started by the promised command line on a tiny COCO set."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mmdet.datasets.coco import CocoDataset
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from mmrbdc.datasets.scenes import make_scenes
from mmrbdc.families import architecture_from_config
from mmrbdc.weights import publish

ROOT = Path(__file__).parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:pkg_resources")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data/coco, where the first ten of COCO's 80 classes look like digits."""
    root = tmp_path_factory.mktemp("place")
    coco = root / "data" / "coco"
    make_scenes(coco, counts=dict(train=4, val=2, test=1))
    for split in ("train", "val"):
        (coco / split).rename(coco / f"{split}2017")
        file = coco / "annotations" / f"instances_{split}.json"
        content = json.loads(file.read_text())
        names = CocoDataset.METAINFO["classes"]
        content["categories"] = [dict(id=i, name=name) for i, name in enumerate(names, start=1)]
        file.with_name(f"instances_{split}2017.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("name", ["rbdc-r50", "scratch-r50", "rbdc-deit-b", "scratch-deit-b"])
def test_two_steps_through_options_alone(place, name):
    config = ROOT / f"configs/mask-rcnn_{name}_coco.py"
    init_cfg = Config.fromfile(config).model.backbone.init_cfg
    pretraining = Config.fromfile(ROOT / init_cfg.made_by).model
    init_default_scope("mmpretrain")
    classifier = MODELS.build(pretraining)
    meta = dict(name=name, architecture=architecture_from_config(pretraining).to_dict())
    publish((place / init_cfg.checkpoint).with_suffix(""), classifier.state_dict(), meta)
    options = {
        "train_cfg.max_epochs": 1,
        "train_dataloader.num_workers": 0,
        "train_dataloader.persistent_workers": False,
        "train_dataloader.dataset.pipeline.2.scale": "(160,160)",
        "val_dataloader.num_workers": 0,
        "val_dataloader.persistent_workers": False,
        "val_dataloader.dataset.pipeline.1.scale": "(160,160)",
        "default_hooks.logger.interval": 1,
    }
    command = [sys.executable, str(ROOT / "tools" / "train.py"), str(config), "--cfg-options"]
    command += [f"{key}={value}" for key, value in options.items()]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    work_dir = place / "work_dirs" / config.stem
    report = json.loads((work_dir / "load_report.json").read_text())
    assert report["load"]["share"] == 1 and report["checkpoint"]["name"] == name
    log = next(work_dir.glob("2*/*.log")).read_text()
    assert "Epoch(train) [1][2/2]" in log and "nan" not in log.split("Epoch(train)")[-1][:300]
