"""Small COCO data sets and predictions for them, made from random numbers."""

import contextlib
import copy
import io
import json

import numpy as np
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmrbdc.analysis.coco import match, read_annotations, read_predictions

WIDTH, HEIGHT = 200, 160


def make_annotations(seed=0, images=14, categories=3, objects=40, sides=(8, 130)):
    """Objects of all sizes, some of them crowds; image ids neither start at 1 nor are sorted."""
    rng = np.random.default_rng(seed)
    ids = (10 + 3 * rng.permutation(images)).tolist()
    placed = [_random_box(rng, sides) for _ in range(objects)]
    return {
        "images": [
            {"id": id_, "file_name": f"{id_}.png", "width": WIDTH, "height": HEIGHT} for id_ in ids
        ],
        "categories": [{"id": 2 * k + 1, "name": f"thing {k}"} for k in range(categories)],
        "annotations": [
            {
                "id": number,
                "image_id": ids[rng.integers(images)],
                "category_id": int(2 * rng.integers(categories) + 1),
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(rng.random() < 0.15),
                "segmentation": _rle(box),
            }
            for number, box in enumerate(placed, start=1)
        ],
    }


def make_predictions(data, seed=1, found=0.8, shift=0.08, wrong=60):
    """Most objects, moved by about ``shift`` of their size, and ``wrong`` boxes anywhere."""
    rng = np.random.default_rng(seed)
    detections = []
    for annotation in data["annotations"]:
        if rng.random() < found:
            x, y, w, h = annotation["bbox"]
            dx, dy, dw, dh = rng.normal(scale=shift, size=4)
            box = [x + dx * w, y + dy * h, w * np.exp(dw), h * np.exp(dh)]
            detections.append(_detection(annotation, _inside(box), rng.beta(4, 2)))
    for _ in range(wrong):
        place = data["annotations"][rng.integers(len(data["annotations"]))]
        detections.append(_detection(place, _random_box(rng, (8, 130)), rng.beta(2, 4)))
    return detections


def with_copies(data, detections, weights):
    """The data set in which the i-th image by id is there ``weights[i]`` times, side by side."""
    ids = sorted(image["id"] for image in data["images"])
    many = {"categories": data["categories"], "images": [], "annotations": []}
    predicted = []
    for id_, weight in zip(ids, weights, strict=True):
        for n in range(weight):
            new = 1000 * id_ + n
            many["images"] += _moved(data["images"], "id", id_, new)
            many["annotations"] += _moved(data["annotations"], "image_id", id_, new)
            predicted += _moved(detections, "image_id", id_, new)
    for number, annotation in enumerate(many["annotations"], start=1):
        annotation["id"] = number
    return many, predicted


def pycocotools_stats(data, detections, iou_type):
    """COCOeval by itself, on copies."""
    data, detections = copy.deepcopy((data, detections))
    if iou_type == "segm":
        for detection in detections:
            del detection["bbox"]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = data
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(detections), iou_type)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats[:6].tolist()


def write(folder, name, content):
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def matched(folder, data, detections, iou_type="bbox", name="predictions"):
    """Matches, by way of files."""
    annotations = read_annotations(write(folder, "annotations.json", data))
    path = write(folder, f"{name}.json", detections)
    return match(annotations, read_predictions(path, annotations, iou_type), iou_type)


def _random_box(rng, sides):
    w, h = np.exp(rng.uniform(*np.log(sides), size=2))
    return [rng.uniform(0, WIDTH - w), rng.uniform(0, HEIGHT - h), w, h]


def _inside(box):
    x, y, w, h = box
    x, y = np.clip([x, y], 0, [WIDTH - 4, HEIGHT - 4])
    return [x, y, min(w, WIDTH - x), min(h, HEIGHT - y)]


def _rle(box):
    x, y, w, h = (round(value) for value in box)
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
    pixels[y : y + h + 1, x : x + w + 1] = 1
    mask = mask_utils.encode(pixels)
    return {"size": [HEIGHT, WIDTH], "counts": mask["counts"].decode()}


def _detection(annotation, box, score):
    return {
        "image_id": annotation["image_id"],
        "category_id": annotation["category_id"],
        "bbox": [float(value) for value in box],
        "score": float(score),
        "segmentation": _rle(box),
    }


def _moved(entries, field, old, new):
    return [copy.deepcopy(entry) | {field: new} for entry in entries if entry[field] == old]
