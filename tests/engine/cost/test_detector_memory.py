"""The memory of a detector's training step, forecast, against what a real step takes."""

import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.cost.detector_memory import (
    _outputs,
    detector_step_memory,
    largest_image,
)
from mmrbdc.plan import PlanError
from tests.engine.cost.test_memory import peak_of_steps

CONFIGS = Path(__file__).parents[3] / "configs"
BATCH, SIZE, OBJECTS = 4, 256, 5

pytestmark = [pytest.mark.numeric, pytest.mark.filterwarnings("ignore:pkg_resources")]


def batch():
    """Images with objects, as a loader gives them."""
    draw = np.random.default_rng(0)
    inputs, samples = [], []
    for _ in range(BATCH):
        corners = draw.uniform(0, SIZE - 80, (OBJECTS, 2))
        boxes = np.hstack([corners, corners + draw.uniform(20, 80, (OBJECTS, 2))])
        masks = BitmapMasks(np.ones((OBJECTS, SIZE, SIZE), np.uint8), SIZE, SIZE)
        labels = torch.from_numpy(draw.integers(0, 10, OBJECTS))
        boxes = HorizontalBoxes(torch.from_numpy(boxes).float())
        shape = dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE), scale_factor=(1.0, 1.0))
        sample = DetDataSample(metainfo=shape)
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels, masks=masks)
        sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=labels[:0])
        samples.append(sample)
        inputs.append(torch.from_numpy(draw.integers(0, 256, (3, SIZE, SIZE), np.uint8)))
    return dict(inputs=inputs, data_samples=samples)


def taken(cfg, folder):
    """Bytes at the peak of two real steps."""
    torch.manual_seed(0)
    return peak_of_steps(cfg.model, batch, folder, scope="mmdet")


@pytest.mark.parametrize(
    "name",
    [
        "mask-rcnn_random-deit-micro_scenes.py",
        "mask-rcnn_random-resnet-micro_scenes.py",
    ],
)
def test_a_detectors_step(tmp_path, name):
    cfg = load_config(CONFIGS / name)
    cfg.optim_wrapper.optimizer = dict(type="AdamW", lr=1e-3)
    found = detector_step_memory(cfg, (SIZE, SIZE), BATCH)
    real = taken(cfg, tmp_path)
    assert found.peak == pytest.approx(real, rel=0.1)
    # The twin: half of the images are not it.
    half = detector_step_memory(cfg, (SIZE, SIZE), BATCH // 2)
    assert half.peak < 0.75 * real


def test_checkpointing_and_frozen_stages_take_less():
    cfg = load_config(CONFIGS / "mask-rcnn_rbdc-r50_coco.py")
    before = detector_step_memory(cfg, (320, 480), 2)
    for key in ("with_cp", "frozen_stages"):
        changed = copy.deepcopy(cfg)
        changed.model.backbone[key] = True if key == "with_cp" else 3
        if key == "frozen_stages":
            changed.model.backbone.pop("policy")
        found = detector_step_memory(changed, (320, 480), 2)
        assert found.activations < 0.8 * before.activations
        assert (found.gradients < before.gradients) is (key == "frozen_stages")


@pytest.mark.parametrize(
    "name",
    [
        "detection/retinanet_r50-rbdc-pre_fpn_1x_coco.py",
        "detection/cascade-mask-rcnn_r50-rbdc-pre_fpn_1x_coco.py",
    ],
)
def test_other_detectors_are_counted_too(name):
    cfg = load_config(CONFIGS / name)
    one, two = (detector_step_memory(cfg, (320, 480), n, processes=2) for n in (1, 2))
    assert 1.5 < two.activations / one.activations < 2.1 and one.buckets == one.gradients


@pytest.mark.parametrize(
    ("augment", "found"),
    [
        (dict(type="BatchSyncRandomResize", random_size_range=(480, 800)), (800, 800)),
        (dict(type="BatchFixedSizePad", size=(96, 64)), (64, 96)),
        (dict(type="BatchOfTheirs"), "BatchOfTheirs"),
    ],
)
def test_what_is_done_to_whole_batches(augment, found):
    cfg = Config(
        dict(
            model=dict(data_preprocessor=dict(batch_augments=[augment])),
            train_dataloader=dict(
                batch_size=1,
                dataset=dict(
                    type="ConcatDataset",
                    datasets=[dict(type="CocoDataset", pipeline=[dict(type="Resize", scale=n)])
                              for n in (320, 640)],
                ),
            ),
        )
    )  # fmt: skip
    if isinstance(found, str):
        with pytest.raises(PlanError, match=found):
            largest_image(cfg)
    else:
        assert largest_image(cfg) == found


@pytest.mark.parametrize("name", ["detr/detr_r50_8xb2-150e_coco.py",
                                  "sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py"])  # fmt: skip
def test_heads_of_another_kind_are_refused(name):
    cfg = load_config(f"mmdet::{name}")
    with pytest.raises(PlanError, match="cannot be counted"):
        detector_step_memory(cfg, (64, 64), 1)


def test_another_kind_of_detector_is_refused():
    cfg = load_config(CONFIGS / "detection/retinanet_r50-rbdc-pre_fpn_1x_coco.py")
    built = SimpleNamespace(extract_feat=lambda images: [images])
    with pytest.raises(PlanError, match="of one or two stages"):
        list(_outputs(built, (32, 32), 1))
    cfg.train_dataloader.dataset.pipeline = [dict(type="LoadImageFromFile")]
    with pytest.raises(PlanError, match="size of the images is unknown"):
        largest_image(cfg)


RESIZE = dict(type="Resize", scale=(1333, 800), keep_ratio=True)
CROP = dict(type="RandomCrop", crop_size=(384, 600), crop_type="absolute_range")


@pytest.mark.parametrize(
    ("pipeline", "loader", "divisor", "size"),
    [
        ([RESIZE], dict(batch_size=2, batch_sampler=dict(type="A")), 32, (800, 1344)),
        ([RESIZE], dict(batch_size=2, batch_sampler=None), 32, (1344, 1344)),
        ([RESIZE], dict(batch_size=1, batch_sampler=None), 1, (800, 1333)),
        (
            [dict(type="RandomResize", scale=(1024, 1024), ratio_range=(0.1, 2.0)),
             dict(type="RandomCrop", crop_size=(1024, 1024))],
            dict(batch_size=8), 1024, (1024, 1024),
        ),
        (
            [dict(type="RandomChoiceResize", scales=[(480, 1333), (800, 1333)])],
            dict(batch_size=1), 32, (800, 1344),
        ),
        (
            [dict(type="RandomChoice", transforms=[[RESIZE], [RESIZE, CROP, RESIZE]])],
            dict(batch_size=1), 1, (800, 1333),
        ),
        ([RESIZE, CROP], dict(batch_size=1), 1, (384, 600)),
        ([dict(type="Resize", scale=96), dict(type="Pad", size=(128, 128))],
         dict(batch_size=8), 1, (128, 128)),
        ([RESIZE, dict(type="Pad", pad_to_square=True)], dict(batch_size=1), 1, (1333, 1333)),
        ([RESIZE, dict(type="Pad", size_divisor=32)], dict(batch_size=1), 1, (800, 1344)),
        ([dict(type="FixShapeResize", width=64, height=32)], dict(batch_size=1), 1, (32, 64)),
        ([dict(type="RandomChoice", transforms=[RESIZE, CROP])], dict(batch_size=1), 1,
         (800, 1333)),
        ([dict(type="Resize", scale=[160, 90])], dict(batch_size=1), 1, (90, 160)),
    ],
)  # fmt: skip
def test_the_largest_image_of_a_pipeline(pipeline, loader, divisor, size):
    dataset = dict(type="CocoDataset", pipeline=pipeline)
    model = dict(data_preprocessor=dict(pad_size_divisor=divisor))
    cfg = Config(dict(model=model, train_dataloader=dict(dataset=dataset, **loader)))
    assert largest_image(cfg) == size
