"""The data sets' base configs read what they say they read."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image

from mmrbdc.datasets.made.digits import CLASSES

CONFIGS = Path(__file__).parents[2] / "configs" / "_base_" / "datasets"
SPLITS = ("train", "val", "test")
IMAGENET = ("imagenet_deit", "imagenet_resnet")


def load(name, root, **others):
    """A base config with its data at ``root``, given as a user would, and no workers."""
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    cfg.merge_from_dict({f"{split}_dataloader.dataset.data_root": str(root) for split in SPLITS})
    for split in SPLITS:
        cfg[f"{split}_dataloader"].update(num_workers=0, persistent_workers=False)
    cfg.merge_from_dict(others)
    return cfg


@pytest.fixture
def image_folder(tmp_path):
    """A tiny ImageFolder: 6 training and 2 validation images in each of 2 classes."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for name in ("n01", "n02"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, size=(90, 120, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / name / f"{number}.JPEG")
    return tmp_path


@pytest.mark.parametrize("name", ["digits", "digits_small"])
def test_digits(digits, name):
    cfg = load(name, digits)
    assert Config.fromfile(CONFIGS / f"{name}.py").train_dataloader.dataset.data_root == (
        f"data/{name}"
    )
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        for split, count in zip(SPLITS, (40, 20, 30), strict=True):
            loader = Runner.build_dataloader(cfg[f"{split}_dataloader"], seed=0)
            assert len(loader.dataset) == count
            assert loader.dataset.metainfo["classes"] == CLASSES
            batch = next(iter(loader))
            assert batch["inputs"][0].shape == (3, 32, 32)
            for sample in batch["data_samples"]:
                assert Path(sample.img_path).parent.name == str(sample.gt_label.item())


def test_digit_scenes(scenes):
    cfg = load("digit-scenes", scenes)
    with DefaultScope.overwrite_default_scope("mmdet"):
        for split, count in zip(SPLITS, (8, 6, 4), strict=True):
            loader = Runner.build_dataloader(cfg[f"{split}_dataloader"], seed=0)
            assert len(loader.dataset) == count
            assert loader.dataset.metainfo["classes"] == CLASSES
            batch = next(iter(loader))
            assert batch["inputs"][0].shape == (3, 128, 128)
            truth = batch["data_samples"][0].gt_instances
            assert len(truth.masks) == len(truth.bboxes) == len(truth.labels) > 0
    for split in ("val", "test"):
        assert cfg[f"{split}_evaluator"].ann_file == (
            f"data/digit_scenes/annotations/instances_{split}.json"
        )


@pytest.mark.parametrize("name", IMAGENET)
def test_imagenet_recipes_read_a_tiny_folder(image_folder, name):
    cfg = load(name, image_folder, **{"train_dataloader.batch_size": 4})
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        train = Runner.build_dataloader(cfg.train_dataloader, seed=0)
        paths = []
        for batch in train:
            assert [tuple(x.shape) for x in batch["inputs"]] == [(3, 224, 224)] * 4
            paths += [sample.img_path for sample in batch["data_samples"]]
        assert len(paths) == 12, "an epoch has as many samples as there are images"
        assert len(set(paths)) == 4, "and each of them three times"
        for split in ("val", "test"):
            loader = Runner.build_dataloader(cfg[f"{split}_dataloader"], seed=0)
            batch = next(iter(loader))
            assert [tuple(x.shape) for x in batch["inputs"]] == [(3, 224, 224)] * 4
            assert [s.gt_label.item() for s in batch["data_samples"]] == [0, 0, 1, 1]


def test_imagenet_recipes_are_the_published_ones():
    deit, resnet = (Config.fromfile(CONFIGS / f"{name}.py") for name in IMAGENET)
    parts = {}
    for name, cfg in (("deit", deit), ("resnet", resnet)):
        pipeline = cfg.train_dataloader.dataset.pipeline
        assert cfg.val_dataloader.dataset.pipeline == cfg.test_dataloader.dataset.pipeline
        parts[name] = {step.type: step for step in pipeline}
        assert cfg.train_dataloader.sampler.num_repeats == 3
    assert parts["deit"]["RandAugment"].magnitude_level == 9
    assert parts["resnet"]["RandAugment"].magnitude_level == 7
    assert parts["deit"]["RandomErasing"].erase_prob == 0.25
    assert "RandomErasing" not in parts["resnet"]
    assert deit.val_dataloader.dataset.pipeline[1].scale == 256
    assert resnet.val_dataloader.dataset.pipeline[1].scale == 236
    assert 8 * deit.train_dataloader.batch_size == 1024
    assert 8 * resnet.train_dataloader.batch_size == 2048
