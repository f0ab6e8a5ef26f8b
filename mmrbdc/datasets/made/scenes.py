"""Scenes of handwritten digits with boxes and masks, in COCO's format.

A scene is 128 x 128 pixels: digits of several sizes, inks and turns on a textured ground, later
ones over earlier ones. The ink is always lighter than the ground, as in the digits that the
backbones are pretrained on. What is annotated is what can be seen: mask, area and box of the
visible pixels. The digits of train, val and test are disjoint (``split_digits``).
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmrbdc.datasets.made.digits import CLASSES, check_counts, draw_digit, load_table, split_digits
from mmrbdc.datasets.made.stamped_folder import make_folder
from mmrbdc.datasets.made.textures import random_ground

COUNTS = {"train": 400, "val": 100, "test": 200}
SCENE_SIZE = 128
DIGITS_PER_SCENE = (3, 7)
DIGIT_SIZES = (16.0, 44.0)
"""Range of the side of a digit's 8 x 8 grid, pixels; small and large are equally likely."""
MAX_TURN = 15.0
"""Degrees either way."""
MIN_VISIBLE = 0.6
"""No digit is put where it would leave less of an earlier one to be seen."""
MAX_BOX_IOU = 0.3
"""Nor where its box would overlap another one's by more."""
PLACES_TRIED = 30
GRAIN = 0.02
DARKEST_INK = 0.65
"""Of each colour in 0..1; grounds end at 0.5 (``textures.BRIGHTEST``)."""
SHADE = 0.5
"""How much a digit darkens what is just around its stroke, so that digits stay apart."""
MASK_LEVEL = 0.45
"""A pixel of the stroke (0..1) is the digit's from here on; there its ink covers one half."""


@dataclass
class PlacedDigit:
    """A digit in a scene.

    Attributes:
        index: in scikit-learn's table.
        digit_class: 0..9.
        mask: its visible pixels, (SCENE_SIZE, SCENE_SIZE) bool.
        pixels: how many there were before another digit was put over it.
    """

    index: int
    digit_class: int
    mask: np.ndarray
    pixels: int


def draw_scene(rng: np.random.Generator, pool: np.ndarray) -> tuple[np.ndarray, list[PlacedDigit]]:
    """Draw one scene.

    Args:
        rng: decides everything in the scene.
        pool: indices into scikit-learn's table of the digits that may be used.

    Returns:
        RGB picture, (SCENE_SIZE, SCENE_SIZE, 3) uint8, and the digits in it, lowest first.
    """
    digits, classes = load_table()
    picture = random_ground(rng, SCENE_SIZE)
    placed: list[PlacedDigit] = []
    wanted = rng.integers(*DIGITS_PER_SCENE, endpoint=True)
    for index in rng.choice(pool, size=wanted, replace=False):
        stroke = _find_place(rng, _random_stroke(rng, digits[index]), placed)
        if stroke is None:
            continue
        picture *= 1.0 - SHADE * np.clip(stroke / 0.25, 0.0, 1.0)[..., None]
        opacity = np.clip((stroke - 0.25) / 0.4, 0.0, 1.0)[..., None]
        picture += opacity * (_random_ink(rng) - picture)
        mask = stroke > MASK_LEVEL
        for other in placed:
            other.mask &= ~mask
        placed.append(PlacedDigit(int(index), int(classes[index]), mask, int(mask.sum())))
    picture += rng.normal(scale=GRAIN, size=picture.shape)
    return np.rint(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8), placed


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Column, row, width and height of the smallest box around a mask's pixels."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y


def make_scenes(
    root: str | os.PathLike[str],
    *,
    counts: Mapping[str, int] | None = None,
    seed: int = 0,
    force: bool = False,
) -> bool:
    """Write ``root/{train,val,test}/NNNNNN.png`` and ``root/annotations/instances_{...}.json``.

    The annotations are COCO's: masks as compressed RLE, categories '0' to '9' with ids 1 to 10.
    Each annotation also carries ``digit``, the digit's index in scikit-learn's table. Scene n of
    a split depends on (seed, split, n) only.

    Args:
        root: the folder to make; see ``make_folder`` for one that exists.
        counts: scenes per split; a split that is not named has as many as in ``COUNTS``.
        seed: of the scenes, and of the digits' splits as in ``make_digits``.
        force: make the folder again even if it is current.

    Returns:
        Whether the folder was made by this call.
    """
    counts = check_counts({**COUNTS, **(counts or {})}, dict.fromkeys(COUNTS))

    def write(folder: Path) -> None:
        (folder / "annotations").mkdir()
        for number, (split, pool) in enumerate(split_digits(seed).items()):
            (folder / split).mkdir()
            content = _write_split(folder / split, pool, [seed, number], counts[split])
            path = folder / "annotations" / f"instances_{split}.json"
            path.write_text(json.dumps(content) + "\n")

    parameters = {"what": "digit scenes", "version": 1, "counts": counts, "seed": seed}
    return make_folder(root, parameters, write, force=force)


def _write_split(folder: Path, pool: np.ndarray, seed: list[int], count: int) -> dict:
    from PIL import Image

    images: list[dict] = []
    annotations: list[dict] = []
    for scene in range(count):
        picture, placed = draw_scene(np.random.default_rng([*seed, scene]), pool)
        image_id = scene + 1
        name = f"{image_id:06d}.png"
        Image.fromarray(picture).save(folder / name)
        size = {"width": SCENE_SIZE, "height": SCENE_SIZE}
        images.append({"id": image_id, "file_name": name, **size})
        annotations += [_annotation(digit, image_id) for digit in placed]
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    return {
        "info": {"description": "handwritten digits of scikit-learn, pasted into scenes"},
        "licenses": [],
        "categories": [
            {"id": number, "name": name, "supercategory": "digit"}
            for number, name in enumerate(CLASSES, start=1)
        ],
        "images": images,
        "annotations": annotations,
    }


def _annotation(digit: PlacedDigit, image_id: int) -> dict:
    from pycocotools import mask as mask_utils

    rle = mask_utils.encode(np.asfortranarray(digit.mask, dtype=np.uint8))
    return {
        "image_id": image_id,
        "category_id": digit.digit_class + 1,
        "bbox": [float(value) for value in bounding_box(digit.mask)],
        "area": float(digit.mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
        "digit": digit.index,
    }


def _random_stroke(rng: np.random.Generator, digit: np.ndarray) -> np.ndarray:
    """A digit of random size and turn, in 0..1, cut to its pixels."""
    size = np.exp(rng.uniform(*np.log(DIGIT_SIZES)))
    canvas = int(np.ceil(1.25 * size))
    stroke = draw_digit(digit, size, canvas, rng.uniform(-MAX_TURN, MAX_TURN))
    x, y, width, height = bounding_box(stroke > 0.05)
    return stroke[y : y + height, x : x + width]


def _random_ink(rng: np.random.Generator) -> np.ndarray:
    """A light colour, (3,); every other one is grey."""
    colour = rng.uniform(DARKEST_INK, 1.0, size=3)
    return np.full(3, colour[0]) if rng.random() < 0.5 else colour


def _find_place(
    rng: np.random.Generator, stroke: np.ndarray, placed: list[PlacedDigit]
) -> np.ndarray | None:
    """Put a stroke where all the other digits can still be seen.

    Returns:
        The stroke in the scene, (SCENE_SIZE, SCENE_SIZE), or None if none of ``PLACES_TRIED``
        random places would do.
    """
    height, width = stroke.shape
    for _ in range(PLACES_TRIED):
        row = rng.integers(SCENE_SIZE - height, endpoint=True)
        column = rng.integers(SCENE_SIZE - width, endpoint=True)
        in_scene = np.zeros((SCENE_SIZE, SCENE_SIZE))
        in_scene[row : row + height, column : column + width] = stroke
        mask = in_scene > MASK_LEVEL
        if all(_leaves_visible(mask, other) for other in placed):
            return in_scene
    return None


def _leaves_visible(mask: np.ndarray, other: PlacedDigit) -> bool:
    if (other.mask & ~mask).sum() < MIN_VISIBLE * other.pixels:
        return False
    (x1, y1, w1, h1), (x2, y2, w2, h2) = bounding_box(mask), bounding_box(other.mask)
    shared_width = max(0, min(x1 + w1, x2 + w2) - max(x1, x2))
    shared_height = max(0, min(y1 + h1, y2 + h2) - max(y1, y2))
    shared = shared_width * shared_height
    return shared <= MAX_BOX_IOU * (w1 * h1 + w2 * h2 - shared)
