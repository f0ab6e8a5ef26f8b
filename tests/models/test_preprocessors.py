"""A grown backbone sees the same numbers in the detector as it saw in its pretraining."""

from pathlib import Path

import cv2
import mmdet.datasets  # noqa: F401  registers the transforms
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope, init_default_scope

from mmrbdc.registry import MODELS

pytestmark = pytest.mark.numeric

CONFIGS = Path(__file__).parents[2] / "configs"
DETECTORS = [
    "mask-rcnn_rbdc-r50_coco",
    "mask-rcnn_rbdc-deit-b_coco",
    "mask-rcnn_rbdc-resnet-micro_scenes",
    "mask-rcnn_rbdc-deit-micro_scenes",
]
SIZE = 64


@pytest.fixture
def image(tmp_path):
    """A file whose red, green and blue are different ramps."""
    ramp = np.arange(SIZE, dtype=np.uint8)
    rgb = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    rgb[..., 0] = 180 + ramp
    rgb[..., 1] = 60 + ramp[:, None]
    rgb[..., 2] = ramp[::-1]
    cv2.imwrite(str(tmp_path / "image.png"), rgb[..., ::-1])
    return tmp_path / "image.png", rgb


def preprocessed(file, scope, pipeline, preprocessor):
    """What a model gets of an image file: read and packed by a pipeline's ends, preprocessed.

    Returns:
        (3, SIZE, SIZE), without the padding.
    """
    with DefaultScope.overwrite_default_scope(scope):
        sample = dict(img_path=str(file))
        for transform in (pipeline[0], pipeline[-1]):
            sample = TRANSFORMS.build(transform)(sample)
        data = dict(inputs=[sample["inputs"]], data_samples=[sample["data_samples"]])
        built = MODELS.build(preprocessor)
        built.eval()
        return built(data)["inputs"][0, :, :SIZE, :SIZE]


def both(name, file):
    """The image as the detector's backbone gets it, and as the classifier got it."""
    init_default_scope("mmdet")
    detector = Config.fromfile(CONFIGS / f"{name}.py")
    made_by = detector.model.backbone.init_cfg.made_by
    pretraining = Config.fromfile(CONFIGS.parent / made_by)
    theirs = dict(type="mmpretrain.ClsDataPreprocessor", **pretraining.data_preprocessor)
    ours = dict(detector.model.data_preprocessor, type="mmdet.DetDataPreprocessor")
    return (
        preprocessed(file, "mmdet", detector.test_dataloader.dataset.pipeline, ours),
        preprocessed(file, "mmpretrain", pretraining.test_dataloader.dataset.pipeline, theirs),
        ours,
        detector,
    )


@pytest.mark.parametrize("name", DETECTORS)
def test_both_sides_see_the_same(name, image):
    file, rgb = image
    detection, pretraining, ours, _ = both(name, file)
    assert torch.equal(detection, pretraining)
    by_hand = (rgb - np.array(ours["mean"])) / np.array(ours["std"])
    expected = torch.from_numpy(by_hand).permute(2, 0, 1).float()
    torch.testing.assert_close(detection, expected)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize(
    "mistake",
    [
        dict(bgr_to_rgb=False),
        dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395]),
        dict(std=[1.0, 1.0, 1.0]),
    ],
    ids=["channels swapped", "mean and std swapped", "not divided"],
)
def test_twins_that_see_something_else(name, mistake, image):
    file, _ = image
    _, pretraining, ours, detector = both(name, file)
    pipeline = detector.test_dataloader.dataset.pipeline
    wrong = preprocessed(file, "mmdet", pipeline, dict(ours, **mistake))
    assert (wrong - pretraining).abs().max() > 0.01
