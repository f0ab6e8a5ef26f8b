"""A small COCO set with polygons, both kinds of RLE and a crowd, and what goes wrong with one."""

import copy
import json

import numpy as np
from pycocotools import mask as mask_utils

WIDTH, HEIGHT = 60, 40
CLASSES = ("ant", "bee", "cow")


def rle(box, compressed=True, size=(HEIGHT, WIDTH)):
    """The mask of a box."""
    pixels = np.zeros(size, np.uint8, order="F")
    x, y, width, height = box
    pixels[y : y + height, x : x + width] = 1
    if compressed:
        counts = mask_utils.encode(pixels)["counts"].decode()
    else:
        flat = np.concatenate([[0], pixels.ravel(order="F"), [2]])
        edges = np.flatnonzero(np.diff(flat))
        counts = np.diff(np.concatenate([[0], edges])).tolist()
    return {"size": list(size), "counts": counts}


def corners(box):
    x, y, width, height = box
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def small(seed=0, images=6, objects=16):
    """A file without faults: ids of images and categories have gaps, masks are of all kinds."""
    rng = np.random.default_rng(seed)
    annotations = []
    for number in range(1, objects + 1):
        x, y = int(rng.integers(0, WIDTH - 20)), int(rng.integers(0, HEIGHT - 16))
        box = [x, y, int(rng.integers(3, 20)), int(rng.integers(3, 16))]
        kind = number % 4
        crowd = number % 8 == 0
        mask = [
            rle(box, compressed=not crowd),
            [corners(box)],
            [corners(box), [x, y, x + 2.5, y, x + 2.5, y + 2.25]],
            rle(box, compressed=False),
        ][kind]
        annotations.append(
            dict(
                id=number,
                image_id=int(10 + 3 * rng.integers(images)),
                category_id=int(rng.choice([1, 3, 7])),
                bbox=box,
                area=box[2] * box[3],
                iscrowd=int(crowd),
                segmentation=mask,
            )
        )
    return dict(
        info=dict(description="small"),
        images=[
            dict(id=10 + 3 * n, file_name=f"{n}.png", width=WIDTH, height=HEIGHT)
            for n in range(images)
        ],
        annotations=annotations,
        categories=[dict(id=i, name=n) for i, n in zip((1, 3, 7), CLASSES, strict=True)],
    )


def changed(section, number=0, content=None, remove=(), **fields):
    """A small file with fields of one entry changed."""
    content = copy.deepcopy(content or small())
    content[section][number].update(fields)
    for field in remove:
        del content[section][number][field]
    return content


def write(folder, content, name="annotations.json"):
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def detections(content, seed=1, masks=False):
    """Most objects, moved by a little, and some boxes anywhere."""
    rng = np.random.default_rng(seed)
    found = []
    for annotation in content["annotations"]:
        x, y, width, height = (int(v) for v in annotation["bbox"])
        box = [min(x + int(rng.integers(0, 2)), WIDTH - width), y, width, height]
        one = dict(
            image_id=annotation["image_id"],
            category_id=annotation["category_id"],
            score=float(rng.random()),
        )
        found.append(one | (dict(segmentation=rle(box)) if masks else dict(bbox=box)))
    return found
