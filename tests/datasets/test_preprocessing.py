"""What is recorded of a config's preprocessing is what its model really gets."""

import cv2
import mmdet.datasets  # noqa: F401  registers the transforms
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope

from mmrbdc.datasets.preprocessing import config_record, preprocessing_of
from mmrbdc.registry import MODELS
from mmrbdc.weights import DataRecord

PACK = {"mmpretrain": dict(type="PackInputs"), "mmdet": dict(type="PackDetInputs")}
LOAD = dict(type="LoadImageFromFile")
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
NORMALIZE = dict(type="Normalize", mean=MEAN, std=STD)

CASES = {
    "classifier": ("mmpretrain", dict(mean=MEAN, std=STD, to_rgb=True), []),
    "classifier, BGR": ("mmpretrain", dict(mean=MEAN[::-1], std=STD[::-1]), []),
    "classifier as it is": ("mmpretrain", {}, []),
    "one number for all": ("mmpretrain", dict(mean=[127.5], std=[50.0], to_rgb=True), []),
    "in the pipeline": ("mmpretrain", {}, [NORMALIZE]),
    "in the pipeline, BGR": ("mmpretrain", {}, [dict(NORMALIZE, to_rgb=False)]),
    "detector": ("mmdet", dict(mean=MEAN, std=STD, bgr_to_rgb=True), []),
    "caffe": ("mmdet", dict(mean=MEAN[::-1], std=[1.0, 1.0, 1.0], bgr_to_rgb=False), []),
    "detector as it is": ("mmdet", dict(bgr_to_rgb=True), []),
}
KINDS = {"mmpretrain": "ClsDataPreprocessor", "mmdet": "DetDataPreprocessor"}


@pytest.fixture
def image(tmp_path):
    """A file, and its pixels (8, 8, 3) in RGB."""
    rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), rgb[..., ::-1])
    return tmp_path / "image.png", rgb


def what_the_model_gets(file, scope, preprocessor, transforms):
    with DefaultScope.overwrite_default_scope(scope):
        sample = dict(img_path=str(file), img_id=0)
        for transform in [LOAD, *transforms, PACK[scope]]:
            sample = TRANSFORMS.build(transform)(sample)
        built = MODELS.build(dict(preprocessor, type=KINDS[scope]))
        data = dict(inputs=[sample["inputs"]], data_samples=[sample["data_samples"]])
        return built(data)["inputs"][0].double()


def by_record(pixels, rgb):
    """(3, 8, 8), from the record alone."""
    colours = rgb if pixels.channels == "rgb" else rgb[..., ::-1]
    normal = (colours - np.array(pixels.mean)) / np.array(pixels.std)
    return torch.from_numpy(normal).permute(2, 0, 1)


@pytest.mark.parametrize("case", CASES)
def test_the_record_is_what_the_model_gets(case, image):
    scope, preprocessor, transforms = CASES[case]
    file, rgb = image
    pixels = preprocessing_of(dict(preprocessor, type=KINDS[scope]), [LOAD, *transforms])
    seen = what_the_model_gets(file, scope, preprocessor, transforms)
    expected = by_record(pixels, rgb)
    # Three roundings of float32 in (pixel - mean) / std, of numbers below 256 over the least std.
    bound = 3 * 2**-24 * 256 / min(pixels.std)
    assert (seen - expected).abs().max() <= bound
    # The twin: the other order of colours is another input.
    assert (seen - by_record(pixels.swapped(), rgb)).abs().max() > 100 * bound


def test_grey_images():
    loading = dict(LOAD, color_type="grayscale")
    pixels = preprocessing_of(dict(type="ClsDataPreprocessor", mean=[33.3], std=[78.6]), [loading])
    assert (pixels.channels, pixels.mean, pixels.std) == ("grey", (33.3,), (78.6,))


@pytest.mark.parametrize(
    "preprocessor, pipeline",
    [
        (dict(type="SelfSupDataPreprocessor", mean=MEAN, std=STD), [LOAD]),
        (dict(type="ClsDataPreprocessor", mean=MEAN, std=STD), [LOAD, NORMALIZE]),
        (dict(type="ClsDataPreprocessor", mean=MEAN, std=STD), [dict(type="torchvision/ToTensor")]),
        (dict(type="DetDataPreprocessor", mean=MEAN, std=STD), [dict(type="NumpyToPIL")]),
        (dict(type="ClsDataPreprocessor", mean=MEAN[:2], std=STD[:2]), [LOAD]),
    ],
)
def test_what_cannot_be_told_is_not_recorded(preprocessor, pipeline):
    assert preprocessing_of(preprocessor, pipeline) is None


@pytest.mark.parametrize(
    "transforms, size, edge, interpolation",
    [
        (
            [
                dict(type="ResizeEdge", scale=236, edge="short", interpolation="bicubic"),
                dict(type="CenterCrop", crop_size=224),
            ],
            (224, 224),
            236,
            "bicubic",
        ),
        ([dict(type="Resize", scale=(160, 96))], (96, 160), None, "bilinear"),
        ([dict(type="Resize", scale=64, interpolation="area")], (64, 64), None, "area"),
        ([dict(type="Resize", scale=(1333, 800), keep_ratio=True)], None, None, None),
        ([dict(type="ResizeEdge", scale=256)], None, None, "bilinear"),
        ([], None, None, None),
    ],
)
def test_geometry(transforms, size, edge, interpolation):
    preprocessor = dict(type="ClsDataPreprocessor", mean=MEAN, std=STD, to_rgb=True)
    pixels = preprocessing_of(preprocessor, [LOAD, *transforms, PACK["mmpretrain"]])
    assert (pixels.image_size, pixels.short_edge) == (size, edge)
    assert pixels.interpolation == interpolation


def test_a_whole_config():
    """Preprocessor beside the model or in it, data set in wrappers, classes where named."""
    dataset = dict(type="CustomDataset", pipeline=[LOAD], metainfo=dict(classes=("a", "b")))
    cfg = Config(
        dict(
            model=dict(type="ImageClassifier"),
            data_preprocessor=dict(mean=MEAN, std=STD, to_rgb=True),
            train_dataloader=dict(dataset=dict(type="RepeatDataset", times=2, dataset=dataset)),
        )
    )
    record = config_record(cfg)
    assert record.classes == ("a", "b") and record.preprocessing.mean == tuple(MEAN)
    both = dict(type="ConcatDataset", datasets=[dataset, dataset])
    cfg.val_dataloader = dict(dataset=dict(type="RepeatDataset", dataset=both))
    assert config_record(cfg) == record
    dataset["pipeline"] = [LOAD, NORMALIZE]  # a second one
    cfg.val_dataloader = dict(dataset=dict(type="ConcatDataset", datasets=[dataset]))
    assert config_record(cfg) == DataRecord(None, ("a", "b"))
    cfg.val_dataloader = None
    cfg.model.data_preprocessor = dict(mean=[0.0] * 3, std=[255.0] * 3)
    assert config_record(cfg).preprocessing.std == (255.0,) * 3
    assert config_record(dict(model=dict(type="ImageClassifier"))).missing() != []
