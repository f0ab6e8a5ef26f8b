"""Pipelines at another image size: what each writes, and what comes out of them."""

import copy

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS

from mmrbdc.engine.configs.stage_view import stage_config
from mmrbdc.engine.inputs.image_size import input_size, scaled_pipeline, set_image_size
from mmrbdc.families import FamilyError
from mmrbdc.methods import parse_protocol
from mmrbdc.plan import PlanError
from tests.engine.tiny_runs import staged, write_images

LOAD, PACK = dict(type="LoadImageFromFile"), dict(type="PackInputs")


def between(*transforms):
    return [LOAD, *transforms, PACK]


@pytest.mark.parametrize(
    ("transforms", "expected"),
    [
        (
            [dict(type="mmpretrain.RandomResizedCrop", scale=224, backend="pillow")],
            [dict(type="mmpretrain.RandomResizedCrop", scale=112, backend="pillow")],
        ),
        (
            [
                dict(type="ResizeEdge", scale=256, edge="short"),
                dict(type="CenterCrop", crop_size=224),
            ],
            [
                dict(type="ResizeEdge", scale=128, edge="short"),
                dict(type="CenterCrop", crop_size=112),
            ],
        ),
        (
            [dict(type="ResizeEdge", scale=236), dict(type="CenterCrop", crop_size=(224, 224))],
            [dict(type="ResizeEdge", scale=118), dict(type="CenterCrop", crop_size=(112, 112))],
        ),
        (
            [dict(type="Resize", scale=256), dict(type="RandomCrop", crop_size=224, padding=8)],
            [dict(type="Resize", scale=128), dict(type="RandomCrop", crop_size=112, padding=4)],
        ),
        ([], [dict(type="Resize", scale=112)]),
        (
            [dict(type="RandomFlip", prob=0.5)],
            [dict(type="RandomFlip", prob=0.5), dict(type="Resize", scale=112)],
        ),
        (
            [dict(type="RandomCrop", crop_size=224, padding=4), dict(type="RandomFlip", prob=0.5)],
            [
                dict(type="RandomCrop", crop_size=224, padding=4),
                dict(type="RandomFlip", prob=0.5),
                dict(type="Resize", scale=112),
            ],
        ),
        (
            [dict(type="CenterCrop", crop_size=256)],
            [dict(type="CenterCrop", crop_size=256), dict(type="Resize", scale=128)],
        ),
    ],
    ids=["crop", "val", "a2", "resized crop", "nothing", "flip", "cut out", "larger val"],
)
def test_what_a_pipeline_becomes(transforms, expected):
    before = between(*transforms)
    kept = copy.deepcopy(before)
    assert scaled_pipeline(before, 224, 112) == between(*expected)
    assert before == kept


def test_the_same_size_changes_only_what_resizes_nothing():
    pipeline = between(dict(type="RandomResizedCrop", scale=224))
    assert scaled_pipeline(pipeline, 224, 224) == pipeline


@pytest.fixture(scope="module")
def striped(tmp_path_factory):
    """Images of 16 px: a bright frame of 4 px around dark ones."""
    root = tmp_path_factory.mktemp("striped")
    write_images(root, train=3, val=3, test=3)
    for path in root.rglob("*.png"):
        image = np.full((16, 16, 3), 255, np.uint8)
        image[4:12, 4:12] = 0
        cv2.imwrite(str(path), image)
    return root


def first_image(loader):
    return DATASETS.build(loader.dataset)[0]["inputs"].float()


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_split_gives_images_of_that_size(striped, tmp_path, split):
    cfg = staged(striped, tmp_path)
    cfg.train_dataloader.dataset.pipeline = between(dict(type="RandomCrop", crop_size=16))
    set_image_size(cfg, 8)
    image = first_image(cfg[f"{split}_dataloader"])
    assert tuple(image.shape) == (3, 8, 8)
    assert image[0, 0, 0] == 255 and image[0, 4, 4] == 0, "all of the image, resized"


def test_twin_a_smaller_crop_sees_another_part(striped, tmp_path):
    cfg = staged(striped, tmp_path)
    cfg.val_dataloader.dataset.pipeline = between(dict(type="CenterCrop", crop_size=8))
    image = first_image(cfg.val_dataloader)
    assert tuple(image.shape) == (3, 8, 8) and image[0, 0, 0] == 0


def test_loaders_that_share_a_data_set_are_scaled_once(striped, tmp_path):
    cfg = staged(striped, tmp_path)
    cfg.val_dataloader.dataset.pipeline = between(dict(type="Resize", scale=16))
    cfg.test_dataloader.dataset = cfg.val_dataloader.dataset
    set_image_size(cfg, 8)
    assert cfg.test_dataloader.dataset.pipeline[1].scale == 8


def lowered(cfg, **stage):
    cfg.stages[0].update(stage)
    return stage_config(cfg, parse_protocol(cfg).stages[0])


def test_a_stage_of_smaller_images(images, tmp_path):
    cfg = staged(images, tmp_path)
    low = lowered(cfg, img_size=8, depth="1/2")
    assert input_size(low) == (8, 8) and input_size(cfg) == (16, 16)
    assert (low.model.backbone.img_size, low.model.backbone.arch.num_layers) == (8, 1)
    assert low.val_dataloader.dataset.pipeline[1] == dict(type="Resize", scale=8)
    assert cfg.model.backbone.img_size == 16 and len(cfg.val_dataloader.dataset.pipeline) == 2
    Config.fromstring(low.pretty_text, ".py")


def test_a_resnets_stage_changes_in_its_pipelines_only(images, tmp_path):
    cfg = staged(images, tmp_path, "resnet")
    low = lowered(cfg, img_size=8)
    assert input_size(low) == (8, 8)
    assert low.model == lowered(staged(images, tmp_path, "resnet")).model


def test_an_input_size_of_the_config_follows(images, tmp_path):
    cfg = staged(images, tmp_path, input_size=16)
    assert lowered(cfg, img_size=8).input_size == 8


def test_refuses_an_image_size_beside_an_override_that_changes_it(images, tmp_path):
    pipeline = between(dict(type="RandomResizedCrop", scale=8))
    override = dict(img_size=8, train_dataloader=dict(dataset=dict(pipeline=pipeline)))
    with pytest.raises(PlanError, match="img_size=8 and an override .* from 16x16 to 8x8"):
        lowered(staged(images, tmp_path), **override)


def test_refuses_what_the_model_or_the_data_cannot_do(images, tmp_path):
    with pytest.raises(FamilyError, match="img_size=12 is not a multiple"):
        lowered(staged(images, tmp_path), img_size=12)
    with pytest.raises(FamilyError, match="depth growth needs blocks that are all alike"):
        lowered(staged(images, tmp_path, "resnet"), depth="1/2")
    cfg = staged(images, tmp_path, input_size=16)
    del cfg.val_dataloader.dataset["pipeline"]
    with pytest.raises(PlanError, match=r"val_dataloader\.dataset \(CustomDataset\) has no pipe"):
        lowered(cfg, img_size=8)
