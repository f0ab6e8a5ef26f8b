"""Every detector config on a GPU that is not there: preprocessor, backbone, neck and heads put no
tensor on the wrong device.

What fake tensors cannot pass, and only a GPU can show: stacking images of different sizes, mmcv's
compiled operators (RoIAlign, NMS; they crash on them), assigners and samplers, whose results have
as many rows as values say, and backward.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch.utils._pytree import tree_leaves

from mmrbdc.engine.cost.memory import fake_copies
from tests.fake_cuda import fake_cuda

CONFIGS = Path(__file__).parent.parent / "configs"
RANDOM = sorted(CONFIGS.rglob("*-random_*.py")) + sorted(CONFIGS.rglob("*_random-*.py"))
"""One of each comparison: the others have the same model."""
HEIGHT, WIDTH = 192, 256

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@pytest.fixture(scope="module", autouse=True)
def _metafiles_are_read_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, "_get_cfg_path", staticmethod(cache(Config._get_cfg_path)))
        yield


def batch():
    """Two images and their objects, as a loader gives them: on the CPU."""
    samples = []
    for _ in range(2):
        boxes = torch.tensor([[8.0, 8.0, 80.0, 90.0]])
        masks = BitmapMasks(np.ones((1, HEIGHT, WIDTH), np.uint8), HEIGHT, WIDTH)
        objects = InstanceData(bboxes=boxes, labels=torch.zeros(1, dtype=torch.int64), masks=masks)
        shape = (HEIGHT, WIDTH)
        sample = DetDataSample(metainfo=dict(img_shape=shape, ori_shape=shape, pad_shape=shape))
        sample.gt_instances, sample.ignored_instances = objects, InstanceData()
        samples.append(sample)
    inputs = torch.zeros(len(samples), 3, HEIGHT, WIDTH, dtype=torch.uint8)
    return dict(inputs=inputs, data_samples=samples)


def outputs_of(detector):
    """What its parts make of a batch: features, and what every head says of them."""
    data = detector.data_preprocessor(batch(), training=True)
    boxes = data["data_samples"][0].gt_instances.bboxes
    features = detector.extract_feat(data["inputs"])
    found = [boxes, *features]
    if not hasattr(detector, "roi_head"):
        return [*found, detector.bbox_head(features), *priors(detector.bbox_head, features)]
    found += [detector.rpn_head(features), *priors(detector.rpn_head, features)]
    for heads, size in (("bbox_head", 7), ("mask_head", 14)):
        for head in listed(getattr(detector.roi_head, heads, None)):
            pooled = torch.zeros(6, features[0].shape[1], size, size, device=features[0].device)
            found.append(head(pooled))
    return found


def priors(head, features):
    """The anchors of all levels."""
    sizes = [feature.shape[-2:] for feature in features]
    return head.prior_generator.grid_priors(sizes, device=features[0].device)


def listed(heads):
    if heads is None:
        return []
    return list(heads) if isinstance(heads, torch.nn.ModuleList) else [heads]


def built(path):
    """A detector on fake tensors, as MMEngine's runner builds it and sends it to the GPU."""
    config = Config.fromfile(path).model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "linspace", np.linspace)  # whose values MMPretrain's ResNet reads
        detector = MODELS.build(config)
    return fake_copies(detector, "cuda").train()


@pytest.mark.parametrize("path", RANDOM, ids=[path.stem for path in RANDOM])
def test_its_parts_stay_on_the_gpu(path):
    with fake_cuda("mmdet"):
        tensors = tree_leaves(outputs_of(built(path)))
    assert len(tensors) > 8
    assert {tensor.device.type for tensor in tensors} == {"cuda"}


def test_twins_a_part_on_the_wrong_device_is_found():
    path = CONFIGS / "mask-rcnn_random-deit-micro_scenes.py"
    with fake_cuda("mmdet"):
        detector = built(path)
        detector.neck._apply(lambda tensor: torch.empty(tensor.shape))
        with pytest.raises(RuntimeError, match="found two different devices|different from other"):
            outputs_of(detector)
