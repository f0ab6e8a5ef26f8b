"""Boxes in another format are refused; those of detectors never are."""

import contextlib
import io

import numpy as np
import pytest
import torch
from mmdet.models.task_modules import AnchorGenerator, DeltaXYWHBBoxCoder
from pycocotools.coco import COCO
from torchvision.ops import batched_nms

from mmrbdc.analysis import AnalysisError
from mmrbdc.analysis.coco import read_annotations, read_predictions
from mmrbdc.analysis.coco.box_format import box_problem
from mmrbdc.analysis.coco.box_readings import reading_problem
from tests.analysis.coco.coco_files import HEIGHT, WIDTH, make_annotations, make_predictions, write

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
    "y, x, height, width, ": lambda x, y, w, h, size: [y, x, h, w],
    "of half the size, ": lambda x, y, w, h, size: [0.5 * v for v in (x, y, w, h)],
    "resized to 640 x 640, ": lambda x, y, w, h, size: [3.2 * v for v in (x, y, w, h)],
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
    with pytest.raises(AnalysisError, match="wrong.json: .*COCO's result format") as raised:
        read_predictions(wrong, annotations)
    told = str(raised.value)
    assert name in told or ("640" in name and "resized or padded" in told)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("sides", [(6, 20), (30, 60), (60, 155)])
def test_detectors_good_and_bad_are_taken(share, sides):
    """Boxes anywhere, a few or all of them right: no reading is far better than what they are."""
    for seed in range(4):
        draw = np.random.default_rng(seed)
        data = make_annotations(seed=seed, images=12, objects=300, categories=1, sides=sides)
        found = make_predictions(data, seed=seed, found=share, shift=0.1, wrong=600)
        for detection in found:
            detection["score"] = float(draw.random())
        assert reading_problem(index(data), found) is None


@pytest.mark.parametrize("name", ["centres and sizes (cx, cy, width, height), ", "y, x, "])
def test_objects_in_one_place_prove_nothing(name):
    """A bad detector's one box beside the place of all objects might be right in another reading;
    where the objects lie in several places it would not (the twin)."""
    change = next(change for key, change in OTHER.items() if key.startswith(name))

    def told(step):
        data = make_annotations(images=20, objects=40)
        for number, row in enumerate(data["annotations"]):
            row["bbox"] = [20.0 + step * (number % 3), 60.0, 50.0, 30.0]
            row["iscrowd"] = 0
        found = make_predictions(data, found=1.0, shift=0.0, wrong=0)
        return reading_problem(index(data), rewritten(found, change))

    assert told(step=0) is None
    assert name in told(step=40)


def test_what_is_a_chance_of_few_objects_is_taken():
    data = make_annotations(images=7, objects=7)
    found = make_predictions(data, found=1.0, shift=0.0, wrong=0)
    for step in (lambda x, y, w, h, size: [y, x, h, w], OTHER["of half the size, "]):
        assert reading_problem(index(data), rewritten(found, step)) is None


def index(data):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = data
        coco.createIndex()
    return coco


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
