"""Detectors name the picture that they cannot read or scale, in training and validation."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.dataset import BaseDataset, Compose

from mmrbdc.datasets import DataError, LoadImageFromFile
from mmrbdc.datasets.loading.rules import NamingCompose, read_by_rules
from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.launch import prepare_config, train

ROOT = Path(__file__).parents[3]


def detector(root, workers):
    options = {"train_cfg.max_epochs": 1, "log_level": "WARNING"}
    for split in ("train", "val", "test"):
        loader = f"{split}_dataloader"
        options |= {
            f"{loader}.num_workers": workers,
            f"{loader}.persistent_workers": False,
            f"{loader}.batch_size": 2,
            f"{loader}.dataset.data_root": str(root),
        }
        if split != "train":
            ann_file = f"{root}/annotations/instances_{split}.json"
            options[f"{split}_evaluator.ann_file"] = ann_file
    config = load_config(str(ROOT / "configs" / "mask-rcnn_random-resnet-micro_scenes.py"))
    return prepare_config(config, options=options, work_dir=str(root / "run"))


@pytest.mark.parametrize(("split", "workers"), [("train", 1), ("train", 0), ("val", 1)])
def test_a_detector_names_the_picture(split, workers, tmp_path):
    make_scenes(tmp_path, counts=dict(train=2, val=2, test=2))
    bad = sorted((tmp_path / split).iterdir())[0]
    bad.write_bytes(bad.read_bytes()[:60])
    config = detector(tmp_path, workers)
    if split == "val":
        config.val_dataloader.dataset.pipeline[0].ignore_empty = True
    with pytest.raises(DataError) as found:
        train(config)
    assert str(found.value).startswith(f"cannot read the image {bad}: the file begins as PNG")
    assert "\n" not in str(found.value)
    assert ("holds in training only" in str(found.value)) == (split == "val")


def test_a_transform_that_fails_names_the_picture(tmp_path):
    path = str(tmp_path / "strip.png")
    cv2.imwrite(path, np.zeros((1, 5000, 3), np.uint8))

    class Strips(BaseDataset):
        def load_data_list(self):
            return [dict(img_path=path)]

    from mmcv.transforms import LoadImageFromFile as Stock
    from mmcv.transforms import Resize

    for steps in ([Stock(), Resize(scale=(64, 64), keep_ratio=True)],):
        data = Strips(pipeline=steps, serialize_data=False)
        assert read_by_rules(data) == 1 and type(data.pipeline) is NamingCompose
        assert type(data.pipeline.transforms[0]) is LoadImageFromFile
        with pytest.raises(DataError, match=r"Resize fails on the image .*strip\.png \(5000 x 1"):
            data[0]


def test_errors_of_code_stay_what_they_are():
    def broken(results):
        return results["gt_masks"]

    with pytest.raises(KeyError):
        NamingCompose([broken])(dict(img_path="x"))
    nested = Compose([LoadImageFromFile()])
    assert read_by_rules(type("Wrapper", (), dict(pipeline=nested))()) == 0
