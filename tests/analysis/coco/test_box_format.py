"""Boxes in another format are refused; those of detectors never are."""

import numpy as np
import pytest
import torch
from coco_files import HEIGHT, WIDTH, make_annotations, make_predictions, write
from mmdet.models.task_modules import AnchorGenerator, DeltaXYWHBBoxCoder
from torchvision.ops import batched_nms

from mmrbdc.analysis import AnalysisError
from mmrbdc.analysis.coco import read_annotations, read_predictions
from mmrbdc.analysis.coco.box_format import box_problem

OTHER = {
    "corners (x1, y1, x2, y2), ": lambda x, y, w, h, size: [x, y, x + w, y + h],
    "centres and sizes (cx, cy, width, height), ": lambda x, y, w, h, size: [
        x + w / 2, y + h / 2, w, h
    ],
    "corners (x1, y1, x2, y2) divided": lambda x, y, w, h, size: [
        x / size[0], y / size[1], (x + w) / size[0], (y + h) / size[1]
    ],
    "as YOLO writes": lambda x, y, w, h, size: [
        (x + w / 2) / size[0], (y + h / 2) / size[1], w / size[0], h / size[1]
    ],
    "x, y, width, height divided": lambda x, y, w, h, size: [
        x / size[0], y / size[1], w / size[0], h / size[1]
    ],
    "resized or padded": lambda x, y, w, h, size: [3 * v for v in (x, y, w, h)],
}  # fmt: skip
"""What the message calls a format -> a box of COCO's in it."""


def rewritten(detections, change):
    size = (WIDTH, HEIGHT)
    return [{**found, "bbox": change(*found["bbox"], size)} for found in detections]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("sides", [(6, 20), (8, 130), (60, 155)])
@pytest.mark.parametrize("name", OTHER)
def test_other_formats_are_named(tmp_path, name, sides, seed):
    """Of small, mixed and large objects; the right boxes of the same are taken (the twin)."""
    data = make_annotations(seed=seed, images=20, objects=150, sides=sides)
    found = make_predictions(data, seed=seed, shift=0.02, wrong=0)
    annotations = read_annotations(write(tmp_path, "a.json", data))
    read_predictions(write(tmp_path, "right.json", found), annotations)
    wrong = write(tmp_path, "wrong.json", rewritten(found, OTHER[name]))
    if name.startswith("centres") and sides == (6, 20):
        return  # so few of them reach over the border that they might be a detector's
    with pytest.raises(AnalysisError, match="wrong.json: .*COCO's result format") as raised:
        read_predictions(wrong, annotations)
    assert name in str(raised.value)


def detector_boxes(seed, *, size, trained, clip, count=60):
    """Boxes as RetinaNet makes them: anchors, MMDetection's coder, NMS; (N, 4) as COCO's.

    Args:
        seed: of the regressed deltas and scores.
        size: width and height of the image.
        trained: whether anchors far outside of the image have low scores, as after training.
        clip: whether the coder clips boxes to the image.
        count: how many to keep.
    """
    width, height = size
    torch.manual_seed(seed)
    strides = [8, 16, 32, 64, 128]
    maps = [(-(-height // s), -(-width // s)) for s in strides]
    generator = AnchorGenerator(
        strides=strides, ratios=[0.5, 1.0, 2.0], octave_base_scale=4, scales_per_octave=3
    )
    anchors = torch.cat(generator.grid_priors(maps, device="cpu"))
    anchors = anchors[torch.randperm(len(anchors))[: 20 * count]]
    coder = DeltaXYWHBBoxCoder(clip_border=clip)
    boxes = coder.decode(anchors, 0.2 * torch.randn(len(anchors), 4), max_shape=(height, width))
    scores = torch.rand(len(boxes))
    if trained:
        over = torch.cat([-anchors[:, :2], anchors[:, 2:] - torch.tensor([width, height])], dim=1)
        scores[(over > 0.15 * min(size)).any(dim=1)] *= 1e-3
    sides = boxes[:, 2:] - boxes[:, :2]
    boxes, scores = boxes[(sides > 0).all(dim=1)], scores[(sides > 0).all(dim=1)]
    kept = batched_nms(boxes, scores, torch.zeros(len(boxes)), 0.5)[:count]
    found = boxes[kept].double().numpy()
    found[:, 2:] -= found[:, :2]
    return found


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("size", [(32, 32), (128, 96), (320, 240), (97, 412)])
@pytest.mark.parametrize("clip, trained", [(True, True), (True, False), (False, True)])
def test_boxes_of_detectors_are_taken(size, count, clip, trained):
    """Clipped or not, trained or not, few or many, on small and long images."""
    for seed in range(3):
        boxes = detector_boxes(seed, size=size, trained=trained, clip=clip, count=count)
        assert box_problem(boxes, np.tile(size, (len(boxes), 1))) is None


def test_tiny_images_and_few_boxes_prove_nothing():
    size = np.array([[3, 3]])
    assert box_problem(np.array([[0, 0, 1.0, 1.0]]), size) is None
    assert box_problem(np.array([[50, 50, 90.0, 90.0]] * 2), np.array([[100, 100]] * 2)) is None
    assert box_problem(np.array([[50, 50, 90.0, 90.0]] * 3), np.array([[100, 100]] * 3))
    assert box_problem(np.array([[0.2, 0.2, 0.5, 0.5]]), np.array([[100, 100]]))


def test_boxes_over_all_borders_alike_are_a_detectors(tmp_path):
    """Whole objects that are half outside of the image: no format explains them."""
    draw = np.random.default_rng(0)
    centres = draw.uniform(0, 100, size=(400, 2))
    sides = draw.uniform(10, 60, size=(400, 2))
    sizes = np.full((400, 2), 100)
    assert box_problem(np.concatenate([centres - sides / 2, sides], axis=1), sizes) is None
