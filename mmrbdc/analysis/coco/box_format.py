"""Boxes that are not x, y, width and height in pixels, told by where they would lie."""

import numpy as np

_SLACK = 0.05
"""Share of an image's side by which a detector's box may reach over the border."""
_SLACK_PIXELS = 2.0
_EXPLAINED = 0.99
"""Share of the boxes that must lie inside of their images under the format they are taken for."""
_LEAST = 3
"""Fewer boxes prove nothing."""
_OF_CORNERS, _OF_CENTRES, _OUTSIDE = 0.2, 0.03, 0.2
"""Shares of boxes that reach over the border, or lie beyond it, from which on it is no accident.

Corners read as sizes reach over it in half of all cases and more; centres only where an object is
closer to the right or lower border than its own half size. Detectors do it seldom, and on all four
sides alike, so that no other format explains them.
"""
CORNERS = ("corners (x1, y1, x2, y2)", "width is x2 - x1, height y2 - y1")
CENTRES = (
    "centres and sizes (cx, cy, width, height)",
    "x is cx - width / 2, y is cy - height / 2",
)
"""What the boxes are called, and how COCO's follow from them."""
WANTED = "COCO's result format has x, y of the upper left corner, width and height, in pixels"


def box_problem(boxes: np.ndarray, sizes: np.ndarray) -> str | None:
    """Say which other format all of a detector's boxes have; None where they look right.

    Args:
        boxes: (N, 4), as x, y, width and height.
        sizes: (N, 2), width and height of each box's image.

    Returns:
        What they look like and what to do.
    """
    if _all_normalised(boxes, sizes):
        scaled = boxes * np.tile(sizes, 2)
        if _inside(from_corners(scaled), sizes):
            possible = ["corners"]
        else:
            readings = {"centres": from_centres(scaled), "sizes": scaled}
            possible = [name for name, read in readings.items() if _inside(read, sizes)]
        names, hows = zip(*(_NORMALISED[name] for name in possible or _NORMALISED), strict=True)
        name, how = " or ".join(names), "; or ".join(hows)
        return f"all boxes lie within 0 to 1: they look like {name}. {WANTED}: {how}"
    over = _reaching_over(boxes, sizes)
    for reading, least, (name, how) in (
        (from_corners, _OF_CORNERS, CORNERS),
        (from_centres, _OF_CENTRES, CENTRES),
    ):
        if over.sum() >= max(_LEAST, least * len(boxes)) and _inside(reading(boxes), sizes):
            return (
                f"{over.sum():,} of {len(boxes):,} boxes reach over the border of their image, and "
                f"none would if they were {name}, which they look like. {WANTED}: {how}"
            )
    outside = (boxes[:, :2] >= sizes).any(axis=1) | (boxes[:, :2] + boxes[:, 2:] <= 0).any(axis=1)
    if outside.sum() >= max(_LEAST, _OUTSIDE * len(boxes)):
        return (
            f"{outside.sum():,} of {len(boxes):,} boxes lie beyond the border of their image: they "
            "look like boxes of the resized or padded images, or of other images. "
            f"{WANTED} of the original image: scale them back, or give the annotations that the "
            "detector was tested on"
        )
    return None


_NORMALISED = {
    "corners": (
        "corners (x1, y1, x2, y2) divided by the image's size",
        "multiply by the image's width and height; width is then x2 - x1, height y2 - y1",
    ),
    "centres": (
        "centres and sizes (cx, cy, width, height) divided by the image's size, as YOLO writes",
        "multiply by the image's width and height; x is then cx - width / 2, y cy - height / 2",
    ),
    "sizes": (
        "x, y, width, height divided by the image's size",
        "multiply by the image's width and height",
    ),
}


def _all_normalised(boxes: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether no box reaches farther than one pixel, in images that have more."""
    low, high = -_SLACK, 1 + _SLACK
    return bool((boxes >= low).all() and (boxes <= high).all() and (sizes > 4).all())


def _reaching_over(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N,), whether a box reaches over the border by more than detectors do."""
    slack = np.maximum(_SLACK * sizes, _SLACK_PIXELS)
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    return ((low < -slack) | (high > sizes + slack)).any(axis=1)


def _inside(boxes: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether almost all boxes have a size and lie in their images."""
    good = ~_reaching_over(boxes, sizes) & (boxes[:, 2:] >= 0).all(axis=1)
    return bool(good.mean() >= _EXPLAINED)


def from_corners(boxes: np.ndarray) -> np.ndarray:
    """COCO's boxes of x1, y1, x2, y2; (N, 4) both."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def from_centres(boxes: np.ndarray) -> np.ndarray:
    """COCO's boxes of cx, cy, width, height; (N, 4) both."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)
