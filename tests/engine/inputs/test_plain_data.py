"""The training images as validation prepares them."""

import copy

import pytest
import torch
from mmengine.registry import DATASETS

from mmrbdc.engine.inputs.plain_data import plain_training_set
from mmrbdc.plan import PlanError
from tests.engine.tiny_runs import staged


def pictures(config):
    dataset = DATASETS.build(plain_training_set(config))
    return [dataset[i]["inputs"] for i in range(len(dataset))]


@pytest.fixture
def cfg(images, tmp_path):
    return staged(images, tmp_path)


def expected(cfg):
    dataset = copy.deepcopy(cfg.train_dataloader.dataset)
    dataset.pipeline = cfg.val_dataloader.dataset.pipeline
    built = DATASETS.build(dataset)
    return [built[i]["inputs"] for i in range(len(built))]


def equal(ours, theirs):
    return len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


def test_they_are_the_train_images_without_augmentation(cfg):
    assert equal(pictures(cfg), expected(cfg))
    augmented = DATASETS.build(cfg.train_dataloader.dataset)
    torch.manual_seed(0)
    assert not equal([augmented[i]["inputs"] for i in range(len(augmented))], expected(cfg))


def test_the_pipeline_is_found_inside_wrappers(cfg):
    plain = expected(cfg)
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type="RepeatDataset", times=2, dataset=inner)
    assert equal(pictures(cfg), plain * 2)


def test_without_validation_the_test_split_says_how_an_image_is_prepared(cfg):
    plain = expected(cfg)
    cfg.val_dataloader = None
    assert equal(pictures(cfg), plain)
    cfg.test_dataloader = None
    with pytest.raises(PlanError, match="neither val_dataloader nor test_dataloader"):
        plain_training_set(cfg)
