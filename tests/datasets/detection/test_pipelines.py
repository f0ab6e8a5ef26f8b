"""A detector's pipelines that do not load what it learns from are refused before the first step."""

import copy
from pathlib import Path

import pytest

from mmrbdc.datasets import DataError
from mmrbdc.datasets.detection.pipelines import check_pipelines
from mmrbdc.engine.checks.loop_parts import check_loops, loop_errors
from mmrbdc.engine.configs.loading import load_config

ROOT = Path(__file__).parents[3]
MASKS = "mask-rcnn_random-resnet-micro_scenes.py"


@pytest.fixture(scope="module")
def shipped():
    return load_config(str(ROOT / "configs" / MASKS))


@pytest.fixture
def cfg(shipped):
    return copy.deepcopy(shipped)


def steps(cfg, split="train"):
    return cfg[f"{split}_dataloader"].dataset.pipeline


def index(cfg, kind, split="train"):
    return next(i for i, step in enumerate(steps(cfg, split)) if step["type"].endswith(kind))


def annotations(cfg):
    return steps(cfg)[index(cfg, "LoadAnnotations")]


def drop(kind, split="train"):
    return lambda cfg: steps(cfg, split).pop(index(cfg, kind, split))


def only_keys(split, *keys):
    return lambda cfg: steps(cfg, split)[-1].update(meta_keys=keys)


def wrap(cfg):
    inner = cfg.train_dataloader.dataset
    annotations(cfg).pop("with_mask")
    cfg.train_dataloader.dataset = dict(type="RepeatDataset", times=2, dataset=inner)


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda cfg: annotations(cfg).update(with_mask=False), r"pipeline\.1 loads no masks"),
        (lambda cfg: annotations(cfg).pop("with_mask"), r"pipeline\.1\.with_mask=True"),
        (lambda cfg: annotations(cfg).update(with_label=False), "with_label=False"),
        (lambda cfg: annotations(cfg).update(with_bbox=False), "learns the boxes"),
        (wrap, r"train_dataloader\.dataset\.dataset\.pipeline\.1 loads no masks"),
        (drop("LoadAnnotations"), "train_dataloader.dataset.pipeline has no LoadAnnotations"),
        (drop("PackDetInputs"), "train_dataloader.dataset.pipeline does not pack"),
        (drop("PackDetInputs", "val"), "val_dataloader.dataset.pipeline does not pack"),
        (only_keys("train", "img_id", "ori_shape"), "has no 'img_shape'"),
        (only_keys("test", "img_shape", "ori_shape"), r"test_\S+ has no 'img_id'"),
        (only_keys("val", "img_id"), "no 'img_shape' and no 'ori_shape'"),
    ],
)
def test_what_the_model_needs_is_loaded(break_it, told, cfg):
    check_pipelines(cfg)
    break_it(cfg)
    with pytest.raises(DataError, match=told) as error:
        check_pipelines(cfg)
    assert "\n" not in str(error.value)


def test_a_model_of_boxes_needs_no_masks(cfg):
    annotations(cfg).with_mask = False
    cfg.model.roi_head.mask_head = None
    check_pipelines(cfg)


def test_steps_inside_of_others_count(cfg):
    pipeline = steps(cfg)
    at = index(cfg, "LoadAnnotations")
    pipeline[at] = dict(type="RandomApply", prob=1.0, transforms=[annotations(cfg)])
    check_pipelines(cfg)


def test_steps_of_ones_own_are_not_judged(cfg):
    steps(cfg)[index(cfg, "LoadAnnotations")] = dict(type="OfOnesOwn")
    check_pipelines(cfg)


@pytest.mark.parametrize(
    ("gone", "needed", "told"),
    [
        (("val_evaluator",), "train", "has no val_evaluator, and has val_dataloader and val_cfg"),
        (("val_dataloader",), "train", "--no-validate"),
        (("test_cfg", "test_evaluator"), "train", "has no test_cfg and no test_evaluator"),
        (("test_dataloader", "test_cfg", "test_evaluator"), "test", "test_cfg = val_cfg"),
        (("train_dataloader", "train_cfg", "optim_wrapper"), "train", "has no train_dataloader"),
    ],
)
def test_a_loop_has_all_of_its_parts_or_none(gone, needed, told, cfg):
    check_loops(cfg, needed)
    assert loop_errors(cfg) == []
    for part in gone:
        cfg[part] = None
    with pytest.raises(ValueError, match=told) as error:
        check_loops(cfg, needed)
    assert len(str(error.value)) < 250
    assert bool(loop_errors(cfg)) == (len(gone) < 3)


def test_a_loop_that_nobody_needs_may_be_missing(cfg):
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    check_loops(cfg, "train")
