"""What one data set of a config does with its COCO annotations, and its classes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmrbdc.config_parts import type_name
from mmrbdc.datasets.configs import joined, stated_classes
from mmrbdc.datasets.errors import DataError
from mmrbdc.wording import quoted

_OTHER_TYPES = ("CustomDataset", "ImageNet")


@dataclass(frozen=True)
class CocoUse:
    """What a data set of a config does with its annotations.

    Attributes:
        key: of the data set in the config.
        ann_file: path of the annotations, joined as MMEngine joins it.
        images: folder of the images, joined likewise.
        classes: that the config states, else those of the data set's type.
        masks: whether they are loaded.
        test_mode: whether nothing is filtered and nothing is trained on.
        filter_cfg: MMDetection's ``filter_empty_gt`` and ``min_size``.
        polygons_only: whether masks stay polygons.
        indices: the part of the images that is taken; None for all.
        reads_files: whether the images are read as files of this machine.
        passes_over: whether another image is drawn in the place of one that cannot be read.
    """

    key: str
    ann_file: str
    images: str
    classes: tuple[str, ...]
    masks: bool
    test_mode: bool = False
    filter_cfg: Mapping[str, Any] = field(default_factory=dict)
    polygons_only: bool = False
    indices: Any = None
    reads_files: bool = False
    passes_over: bool = False


def is_coco(dataset: Mapping) -> bool:
    """Whether a data set's type is MMDetection's ``CocoDataset``, ours, or a subclass that reads
    the same files.
    """
    name = type_name(dataset)
    if name == "CocoDataset" or name in _OTHER_TYPES:
        return name == "CocoDataset"
    try:
        from mmdet.datasets import CocoDataset
    except ImportError:
        return False
    kind = _type_of(dataset)
    if not isinstance(kind, type) or not issubclass(kind, CocoDataset):
        return False
    own: Any = kind
    return (own.COCOAPI, own.load_data_list) == (CocoDataset.COCOAPI, CocoDataset.load_data_list)


def _type_of(dataset: Mapping) -> Any:
    """The class of a data set of MMDetection's; None for a name that is not registered."""
    from mmdet.datasets import CocoDataset
    from mmdet.registry import DATASETS

    kind = dataset.get("type")
    if isinstance(kind, type):
        return kind
    # Ours, in the place of the stock one, has the same classes.
    return CocoDataset if type_name(dataset) == "CocoDataset" else DATASETS.get(str(kind))


def use_of(key: str, dataset: Mapping) -> CocoUse:
    """What a data set of a config does with its annotations.

    Raises:
        DataError: ``data_prefix`` is no dict, or no classes are known.
    """
    root = dataset.get("data_root")
    prefix = dataset.get("data_prefix") or {}
    if not isinstance(prefix, Mapping):
        raise DataError(
            f"{key}.data_prefix is {prefix!r}, and MMDetection's data sets take a dict: write "
            f"data_prefix=dict(img={prefix!r}) in the config"
        )
    prefix = prefix.get("img") or ""
    steps = [step for step in dataset.get("pipeline") or () if isinstance(step, Mapping)]
    readers = [step for step in steps if type_name(step) == "LoadImageFromFile"]
    return CocoUse(
        key=key,
        ann_file=joined(root, dataset.get("ann_file") or ""),
        images=joined(root, prefix) or str(root or ""),
        classes=stated_classes(dataset) or own_classes(key, dataset),
        masks=any(step.get("with_mask") for step in steps),
        polygons_only=any(
            step.get("with_mask") and not step.get("poly2mask", True) for step in steps
        ),
        test_mode=bool(dataset.get("test_mode")),
        filter_cfg=dataset.get("filter_cfg") or {},
        indices=dataset.get("indices"),
        reads_files=any(
            not step.get("file_client_args")
            and (step.get("backend_args") or {}).get("backend", "local") == "local"
            for step in readers
        ),
        passes_over=any(step.get("ignore_empty") for step in readers),
    )


def class_problem(classes: tuple[str, ...], path: object, in_file: Sequence[str]) -> str | None:
    """Say what is wrong with the config's classes for a file with these categories, if anything."""
    twice = repeated_classes(classes)
    if twice:
        return twice
    lost = [name for name in classes if name not in in_file]
    if lost:
        return (
            f"'{path}' has no category {quoted(lost)}, it has {quoted(in_file)}; name the file's "
            "categories in metainfo.classes, and their number in the model's heads"
        )
    problem = order_problem(classes, in_file)
    return f"'{path}': {problem}" if problem else None


def order_problem(classes: tuple[str, ...], in_file: Sequence[str]) -> str | None:
    """Say that the config's classes stand in another order than the file's, if they do."""
    found = tuple(name for name in in_file if name in classes)
    if found == classes:
        return None
    return (
        f"the config's classes are in another order ({quoted(classes)}) than the file's categories "
        f"({quoted(found)}), which MMDetection numbers them by: pictures would bear wrong names; "
        f"write them in the file's order: classes = {_written(found)}"
    )


def repeated_classes(classes: Sequence[str]) -> str | None:
    """Say that the config names classes more than once, if it does."""
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if not twice:
        return None
    return f"the config names classes more than once: {quoted(twice)}; name each once"


def _written(names: Sequence[str], most: int = 20) -> str:
    """A tuple as a config has it, where that is not too long."""
    return repr(tuple(names)) if len(names) <= most else "(...)"


def own_classes(key: str, dataset: Mapping) -> tuple[str, ...]:
    """What the type of a data set takes for the classes unless its config tells otherwise.

    Raises:
        DataError: the type has none.
    """
    classes = getattr(_type_of(dataset), "METAINFO", {}).get("classes")
    if not isinstance(classes, list | tuple) or not classes:
        raise DataError(
            f"{key}: {type_name(dataset)} has no classes of its own; name those of the file in "
            f"{key}.metainfo.classes"
        )
    return tuple(classes)
