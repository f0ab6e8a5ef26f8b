"""Files with something random changed: refused in one line, or scored as a repaired copy is."""

import contextlib
import copy
import io
import json
import random

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmrbdc.datasets.coco import index
from mmrbdc.datasets.errors import DataError
from tests.datasets.coco.small_coco import HEIGHT, WIDTH, detections, rle, small

NAN, INF = float("nan"), float("inf")
VALUES = [
    None, True, False, 0, 1, 2, -1, 0.0, 1.0, 0.5, NAN, INF, -INF, 1e308, -1e308, 2e8, -1e5, 2**31,
    2**32, 2**63, -(2**63), 10**30, 10**400, "", " ", "1", "x", "1.png", "../x", "/x", "a\\b",
    "b'x'", "\ud800", "a\0b", "é" * 50, [], {}, [[]], [[], []], [None] * 4, ["1"] * 4, [True] * 4,
    [0, 0, 0, 0], [0, 0, -1, -1], [0, 0, 1e9, 1e9], [1e308] * 4, [3, 3, 9, 9], [1, 2, 3, 4, 5, 6],
    [[1, 2], [3, 4], [5, 6]], [[[1, 2], [3, 4], [5, 6]]], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5]],
    [[1, 2, 3, 4, 5, NAN]], [[1, 2, 3, 4, 5, 1e300]], [[1, 2, 3, 4], [1, 1, 9, 1, 9, 9]],
    [[1, 1, 9, 1, 9, 9]], [[3, 3] * 3], [rle([1, 1, 5, 5])], rle([1, 1, 5, 5]),
    rle([1, 1, 5, 5], size=(WIDTH, HEIGHT)), {"size": [HEIGHT, WIDTH]}, {"counts": "x"},
    {"size": [HEIGHT, WIDTH], "counts": "05"}, {"size": [HEIGHT, WIDTH], "counts": [2400]},
    {"size": [HEIGHT, WIDTH], "counts": [-1, 2401]}, {"size": [40.0, 60.0], "counts": [2400]},
    {"size": [HEIGHT, WIDTH], "counts": [0, 2400, 0]}, {"size": [True, 60], "counts": [60]},
]  # fmt: skip
FIELDS = ("ignore", "iscrowd", "area", "id", "width", "segmentation", "name", "bbox", "image_id")


def places(node, path=()):
    """Everything that can be changed; of long lists the first few."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, part in list(items)[:12]:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from places(part, (*path, key))


def mutate(content, rng):
    found = list(places(content))
    if rng.random() < 0.6:  # whole fields rather than single numbers
        found = [path for path in found if len(path) <= 3]
    *path, last = rng.choice(found)
    node = content
    for key in path:
        node = node[key]
    what = rng.random()
    if what < 0.15:
        del node[last]
    elif what < 0.25 and isinstance(node, list):
        node.append(copy.deepcopy(node[last]))
    elif what < 0.4 and isinstance(node, dict):
        node[rng.choice(FIELDS)] = copy.deepcopy(rng.choice(VALUES))
    else:
        node[last] = copy.deepcopy(rng.choice(VALUES))


def repaired(coco):
    """What the index has, as a file of anyone."""

    def plain(value):
        if isinstance(value, np.ndarray):
            return value.tolist()
        raise TypeError(type(value))

    return json.dumps(coco.dataset, default=plain)


def stats(truth, kind):
    found = [
        row
        for row in detections(small(), masks=kind == "segm")
        if row["image_id"] in truth.imgs and row["category_id"] in truth.cats
    ]
    if kind == "segm":
        sizes = {id_: (image["height"], image["width"]) for id_, image in truth.imgs.items()}
        found = [row for row in found if sizes[row["image_id"]] == (HEIGHT, WIDTH)]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = COCOeval(truth, truth.loadRes(found), kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_mutated_files_are_refused_or_scored_rightly(tmp_path, seed):
    rng = random.Random(seed)
    path, copied = tmp_path / "a.json", tmp_path / "repaired.json"
    scored = refused = crashed = 0
    for _ in range(40):
        content = small(seed)
        for _ in range(rng.choice((1, 1, 1, 2))):
            mutate(content, rng)
        encoding = rng.choice(["utf-8"] * 5 + ["utf-8-sig", "utf-16"])
        path.write_bytes(json.dumps(content).encode(encoding))
        for kind in ("bbox", "segm"):
            try:
                coco = index(path, masks=kind == "segm")
            except DataError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) < 700 and str(error).encode()
                if kind == "bbox" and encoding == "utf-8":
                    try:
                        stats(stock(path), kind)
                    except Exception:
                        crashed += 1
                continue
            copied.write_text(repaired(coco))
            assert stats(coco, kind) == stats(stock(copied), kind)
            scored += 1
    assert scored > 5 and refused > 20
    assert crashed > 3  # what the judge is for: pycocotools alone


def stock(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))
