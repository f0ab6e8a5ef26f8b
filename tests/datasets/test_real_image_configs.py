"""The base configs of CIFAR-10 and Imagenette read a folder of class folders."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image

CONFIGS = Path(__file__).parents[2] / "configs" / "_base_" / "datasets"
SETS = {"cifar10": ("test", 32, 32), "imagenette": ("val", 120, 96)}
"""Folder of the images that are scored, their size in the test's data, their size in a batch."""


@pytest.mark.parametrize("name", SETS)
def test_they_read_a_tiny_folder(tmp_path, name):
    scored, stored, seen = SETS[name]
    rng = np.random.default_rng(0)
    for split in ("train", scored):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(3):
                pixels = rng.integers(0, 256, size=(stored, stored + 8, 3), dtype=np.uint8)
                pixels = pixels[:, :stored] if stored == seen else pixels
                Image.fromarray(pixels).save(tmp_path / split / label / f"{number}.jpg")
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    workers = dict(num_workers=0, persistent_workers=False)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        for split, folder in (("train", "train"), ("val", scored), ("test", scored)):
            loader = cfg[f"{split}_dataloader"]
            loader.update(batch_size=6, drop_last=False, **workers)
            loader.dataset.data_root = str(tmp_path)
            (batch,) = Runner.build_dataloader(loader, seed=0)
            assert [tuple(image.shape) for image in batch["inputs"]] == [(3, seen, seen)] * 6
            for sample in batch["data_samples"]:
                assert f"/{folder}/{'ab'[sample.gt_label.item()]}/" in str(sample.img_path)


@pytest.mark.parametrize("name", SETS)
def test_what_is_scored_is_never_augmented_and_ten_classes_are_expected(name):
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    assert cfg.val_dataloader == cfg.test_dataloader and cfg.val_evaluator == cfg.test_evaluator
    steps = {step.type for step in cfg.val_dataloader.dataset.pipeline}
    assert not steps & {"RandomCrop", "RandomFlip", "RandomResizedCrop", "RandAugment"}
    assert cfg.data_preprocessor.num_classes == 10
