"""How many objects a detector and COCO's AP can deal with, and how many the images have.

COCO's AP ranks the best 100 detections of an image and class and forgets the others; a detector
keeps so many proposals and detections an image. Whatever an image has beyond that cannot be found.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmrbdc.config_parts import type_name
from mmrbdc.datasets.configs import find_evaluators
from mmrbdc.shipped import command
from mmrbdc.wording import counted

COCO_MAX_DETS = 100
"""Detections an image and class that AP counts, unless somebody says otherwise."""

_STEP = 100
_KEPT = {"max_per_img", "num_queries"}
"""Names under which MMDetection's heads say how many proposals or detections an image may have."""

_KEPT_BY = "max_per_img of model.test_cfg, or of its parts rpn and rcnn"


@dataclass(frozen=True)
class Limit:
    """A number of objects beyond which some cannot be found.

    Attributes:
        what: it limits, to end a sentence that begins with "more objects than".
        most: the number.
        per_class: whether it holds for each class of an image, or for all together.
        keys: of the config that say it.
    """

    what: str
    most: int
    per_class: bool
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Crowded:
    """What lies beyond a limit.

    Attributes:
        images: how many have more objects than the limit, in one class or in all.
        most: objects of the fullest of them.
        beyond: objects that the limit leaves no room for.
    """

    images: int
    most: int
    beyond: int


def crowded(objects: Iterable[Mapping[str, Any]], limit: int, *, per_class: bool) -> Crowded | None:
    """Count the images with more objects than a limit; None where there is none.

    Args:
        objects: COCO annotations, of which ``image_id``, ``category_id`` and ``iscrowd`` are read.
            Regions marked ``iscrowd`` need not be found and do not count.
        limit: objects that can be found.
        per_class: whether the limit holds for each class of an image, or for all together.
    """
    counts = Counter(
        (row["image_id"], row["category_id"] if per_class else None)
        for row in objects
        if not row.get("iscrowd")
    )
    over = {key: count for key, count in counts.items() if count > limit}
    if not over:
        return None
    return Crowded(
        images=len({image for image, _ in over}),
        most=max(over.values()),
        beyond=sum(over.values()) - limit * len(over),
    )


def cut_detections(detections: Iterable[Mapping[str, Any]], max_dets: int) -> int:
    """Count the detections beyond the best ``max_dets`` of each image and class.

    Args:
        detections: in COCO's result format.
        max_dets: detections an image and class that AP counts.
    """
    counts = Counter((found["image_id"], found["category_id"]) for found in detections)
    return sum(count - max_dets for count in counts.values() if count > max_dets)


def what_is_left_out(
    beyond: Crowded | None,
    images: int,
    cut: int,
    detections: int,
    max_dets: int,
    limits: Iterable[Limit] = (),
) -> str:
    """Say in a sentence what an AP of ``max_dets`` detections an image and class leaves out.

    Args:
        beyond: objects of one class that have no room.
        images: how many are scored.
        cut: detections that are not counted.
        detections: how many there are.
        max_dets: detections an image and class that AP counts.
        limits: of the detector, as far as they are known.
    """
    not_counted = f"{cut:,} of {detections:,} detections are not counted" if cut else ""
    if beyond is None:
        return f"AP counts the best {max_dets} detections of an image and class, {not_counted}"
    room = _room(beyond)
    options = [f"{key}={room}" for limit in limits for key in limit.keys if limit.most < room]
    keep = f": --cfg-options {' '.join(options)}" if options else f" ({_KEPT_BY})"
    return (
        f"AP counts {max_dets} detections an image and class, and {_have(beyond, images)} more "
        f"objects of one class (up to {beyond.most:,}): {counted(beyond.beyond, 'object')} "
        "cannot be found, so that even perfect boxes score below 100"
        + (f"; {not_counted}" if cut else "")
        + f". Score with --max-dets {room} in {command('test')} and {command('compare')} "
        f"(val_evaluator.max_dets={room} in training), and let the detector keep as many{keep}"
    )


def _have(found: Crowded, images: int) -> str:
    return "the one image has" if images == 1 else f"{found.images:,} of {images:,} images have"


def _room(found: Crowded) -> int:
    """A round number that is enough for the fullest image."""
    return -(-found.most // _STEP) * _STEP


def ap_limit(max_dets: int, *keys: str) -> Limit:
    """Return the limit of COCO's AP."""
    what = f"the {max_dets} detections an image and class that COCO's AP counts"
    return Limit(what, max_dets, per_class=True, keys=keys)


def detector_limits(cfg: Mapping[str, Any], split: str) -> tuple[Limit, ...]:
    """Return those limits of :func:`config_limits` that are the detector's own."""
    return tuple(limit for limit in config_limits(cfg, split) if not limit.per_class)


def kept_limit(key: str, most: int) -> Limit:
    """Return the limit of a detector that an option of its config sets."""
    return Limit(_named(key), most, per_class=False, keys=(key,))


def config_limits(cfg: Mapping[str, Any], *splits: str) -> tuple[Limit, ...]:
    """Return the limits of a detector's config for some of ``'train'``, ``'val'``, ``'test'``.

    Heads and RPN are found by their ``max_per_img`` (``num_queries`` of a DETR), wherever in
    ``model`` they are: those of ``train_cfg`` hold for training, those of ``test_cfg`` for the
    other splits, with COCO's own.
    """
    scored = [split for split in splits if split != "train"]
    passed_over = [
        *(["train_cfg"] if "train" not in splits else []),
        *(["test_cfg"] if not scored else []),
    ]
    limits = [
        kept_limit(key, most)
        for key, most in _kept(cfg.get("model") or {}, "model")
        if not set(passed_over) & set(key.split("."))
    ]
    counted: dict[int, list[str]] = {}
    for split in scored:
        for key, evaluator in coco_evaluators(cfg, split):
            limit = evaluator.get("max_dets", COCO_MAX_DETS)
            if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
                continue  # the evaluator refuses it
            counted.setdefault(limit, []).append(f"{key}.max_dets")
    return (*limits, *(ap_limit(most, *keys) for most, keys in counted.items()))


def coco_evaluators(cfg: Mapping[str, Any], split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the evaluators of a split that score by COCO's rules, with their keys in the config."""
    for key, evaluator in find_evaluators(cfg, split):
        if type_name(evaluator).endswith("CocoMetric"):
            yield key, evaluator


def limit_remarks(
    objects: Sequence[Mapping[str, Any]], images: int, limits: Iterable[Limit]
) -> list[str]:
    """Say which limits the images of a split pass, and which options raise them.

    Args:
        objects: the annotations that are learned or scored.
        images: how many the split has.
        limits: to look at.
    """
    remarks = []
    for limit in limits:
        found = crowded(objects, limit.most, per_class=limit.per_class)
        if found is None:
            continue
        objects_of = "objects of one class" if limit.per_class else "objects"
        options = " ".join(f"{key}={_room(found)}" for key in limit.keys)
        raised = f"; --cfg-options {options} makes room for all" if options else ""
        remarks.append(
            f"{_have(found, images)} more {objects_of} than {limit.what} (up "
            f"to {found.most:,}; {found.beyond:,} in all cannot be found){raised}"
        )
    return remarks


def _named(key: str) -> str:
    """Say which part of a detector keeps how many."""
    *_, part, name = key.split(".")
    if name == "num_queries":
        return "the detector has queries"
    if part.startswith("rpn"):
        return "the RPN keeps proposals"
    return "the detector keeps detections"


def _kept(node: Any, key: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, Mapping):
        items: Iterable[tuple[Any, Any]] = node.items()
    elif isinstance(node, list | tuple):
        items = enumerate(node)
    else:
        return
    for name, part in items:
        if name in _KEPT and isinstance(part, int) and part > 0:
            yield f"{key}.{name}", part
        else:
            yield from _kept(part, f"{key}.{name}")
