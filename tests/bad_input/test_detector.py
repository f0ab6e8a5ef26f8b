"""A detector and the checkpoint of another model."""

import pytest
from mmengine.config import Config

from tests.bad_input.shipped import CONFIGS, LOGS, NAME


@pytest.mark.parametrize(
    ("family", "source", "words"),
    [
        ("resnet", f"{NAME}.pth", "family is deit instead of resnet"),
        ("deit", "stage1_2x48/members/0.pth", "embed_dims is 48 instead of 96"),
    ],
)
def test_a_backbone_of_another_kind(mistake, tmp_path, finished, scenes, family, source, words):
    message = mistake(
        "train",
        CONFIGS / f"mask-rcnn_rbdc-{family}-micro_scenes.py",
        "--work-dir",
        tmp_path / "run",
        "--cfg-options",
        f"model.backbone.init_cfg.checkpoint={finished / source}",
        leaves=LOGS,
    )
    assert words in message and source in message


@pytest.mark.parametrize("name", ["rbdc-r50", "scratch-r50", "rbdc-deit-b", "scratch-deit-b"])
def test_a_missing_backbone(mistake, tmp_path, name):
    path = CONFIGS / f"mask-rcnn_{name}_coco.py"
    init_cfg = Config.fromfile(path).model.backbone.init_cfg
    message = mistake("train", path, "--work-dir", tmp_path / "run")
    assert init_cfg.checkpoint in message
    assert f"python tools/train.py {init_cfg.made_by}" in message
