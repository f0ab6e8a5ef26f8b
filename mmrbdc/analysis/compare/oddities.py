"""What is odd about predictions that can be scored all the same."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from mmrbdc.analysis.coco import IoUType, Predictions

_MISSING = 0.1
"""Share of the images with objects on which a detector may find nothing without a remark."""
_REPEATED = 0.01
"""Share of the detections that may be copies of others."""
_NAMES: dict[IoUType, str] = {"bbox": "boxes", "segm": "masks"}


def odd_predictions(name: str, predictions: Predictions) -> list[str]:
    """Say whether a file has predictions for a part of the images, or detections twice.

    Args:
        name: of the row.
        predictions: of it.
    """
    coco = predictions.annotations.coco
    rows: Sequence[Mapping[str, Any]] = predictions.coco.dataset["annotations"]
    told = []
    with_objects = {row["image_id"] for row in coco.anns.values() if not row.get("iscrowd")}
    predicted = {row["image_id"] for row in rows}
    missing = len(with_objects - predicted)
    if missing > _MISSING * len(with_objects):
        told.append(
            f"{name}: '{predictions.path}' has predictions for {len(predicted):,} of "
            f"{len(coco.imgs):,} images, and the objects of the others ({missing:,} have some) "
            "count as not found. Where the test stopped early, or was of a part of the images, "
            "test again on all"
        )
    copies = Counter(_content(row, predictions.iou_type) for row in rows)
    repeated = sum(count - 1 for count in copies.values())
    if repeated > _REPEATED * len(rows):
        told.append(
            f"{name}: {repeated:,} of {len(rows):,} detections in '{predictions.path}' are copies "
            "of others, with the same score, and count as wrong; was the file written twice?"
        )
    return told


def without_common_kind(found: Mapping[str, set[IoUType]]) -> list[str]:
    """Say which rows cannot be compared, since one has boxes and the other masks.

    Args:
        found: name of a row -> of what kinds its predictions are.
    """
    return [
        f"{a} has predictions of {_kinds(found[a])} and {b} of {_kinds(found[b])}, so that there "
        "is no difference between them; give both of one kind"
        for a, b in combinations(found, 2)
        if found[a] and found[b] and not found[a] & found[b]
    ]


def _kinds(kinds: set[IoUType]) -> str:
    return " and ".join(_NAMES[kind] for kind in sorted(kinds))


def _content(row: Mapping[str, Any], kind: IoUType) -> tuple[Any, ...]:
    shape = tuple(row["bbox"]) if kind == "bbox" else row["segmentation"]["counts"]
    return row["image_id"], row["category_id"], row["score"], shape
