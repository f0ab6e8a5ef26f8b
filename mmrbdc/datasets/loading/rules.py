"""Every data set that a run builds lists and reads pictures by our rules, and names what fails.

Image folders are listed by our data sets, exchanged in the config of a run before it is built. A
config keeps MMCV's ``LoadImageFromFile``, which inferencers of MMPretrain and MMDetection look
for by that name; the transforms are exchanged in the data sets that a run has built.
"""

import copy
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import cv2
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from mmengine.dataset import Compose

from mmrbdc.datasets.configs import find_datasets
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.folders.dataset import ours_for
from mmrbdc.datasets.loading.faster import in_less_time
from mmrbdc.datasets.pictures.crop import RandomResizedCrop
from mmrbdc.datasets.pictures.load import LoadImageFromFile, reason_of
from mmrbdc.registry import DATASETS

_OF_THE_PICTURE = (
    cv2.error,
    ArithmeticError,
    AssertionError,
    IndexError,
    MemoryError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What transforms raise over a picture; other errors, of code or config, stay what they are."""


class NamingCompose(Compose):
    """A pipeline whose errors name the picture.

    Args:
        transforms: which are there already.
        training: whether another picture may be drawn where a transform gives nothing.

    Raises:
        DataError: a transform cannot work on a picture, or gives nothing for one that is to be
            scored; it says which, and on which.
    """

    def __init__(self, transforms: Sequence[Any], training: bool = True) -> None:
        super().__init__(None)
        self.transforms = list(transforms)
        self.training = training

    def __call__(self, data: dict) -> dict | None:
        """Apply all transforms; None where one gives nothing."""
        path = data.get("img_path")
        for transform in self.transforms:
            size = _size(data)
            try:
                data = transform(data)
            except DataError:
                raise
            except _OF_THE_PICTURE as error:
                if path is None:
                    raise
                raise DataError(
                    f"{type(transform).__name__} fails on the image {path}{size}: "
                    f"{reason_of(error)}; mend "
                    "or remove the file, or change the pipeline"
                ) from error
            if data is None and not self.training:
                raise DataError(
                    f"{type(transform).__name__} gives nothing for "
                    f"{'a sample' if path is None else f'the image {path}'}{size}, which is to be "
                    "scored, and no other can take its place; change the pipeline"
                )
            if data is None:
                return None
        return data


def use_listed_datasets(loader: Mapping | None) -> list[str]:
    """Put our data sets into the place of MMPretrain's in a loader's config, inside wrappers too.

    Args:
        loader: changed in place.

    Returns:
        The types that were replaced.
    """
    replaced = []
    dataset: Any
    for _, dataset in find_datasets("", (loader or {}).get("dataset") or {}):
        ours = ours_for(dataset.get("type"))
        if ours is not None and dataset["type"] != f"mmrbdc.{ours.__name__}":
            assert isinstance(dataset, MutableMapping)
            replaced.append(ours.__name__)
            dataset["type"] = f"mmrbdc.{ours.__name__}"
    return replaced


def build_dataset(config: Mapping) -> Any:
    """Build a data set that lists and reads by our rules; ``config`` is left as it is."""
    config = copy.deepcopy(config)
    use_listed_datasets(dict(dataset=config))
    dataset = DATASETS.build(config)
    read_by_rules(dataset)
    return dataset


def read_by_rules(dataset: Any, *, training: bool = True) -> int:
    """Exchange MMCV's loader for ours in a built data set, transforms for the same in less
    time, and name files in what fails.

    Args:
        dataset: changed in place, and what it wraps.
        training: whether it trains; what validates or tests never draws one sample for another.

    Returns:
        How many loaders were exchanged.
    """
    exchanged = 0
    pipeline = getattr(dataset, "pipeline", None)
    if isinstance(pipeline, Compose):
        exchanged += _exchange(pipeline, training)
        if type(pipeline) is Compose:
            dataset.pipeline = NamingCompose(pipeline.transforms, training)
        elif isinstance(pipeline, NamingCompose):
            pipeline.training = training
    inner = [getattr(dataset, "dataset", None), *(getattr(dataset, "datasets", None) or [])]
    return exchanged + sum(
        read_by_rules(one, training=training) for one in inner if one is not None
    )


def _exchange(holder: Any, training: bool) -> int:
    """Exchange loaders in a pipeline, and in transforms that hold transforms."""
    exchanged = 0
    transforms = getattr(holder, "transforms", None)
    if isinstance(transforms, Compose):
        return _exchange(transforms, training)
    if not isinstance(transforms, list):
        return 0
    for number, transform in enumerate(transforms):
        if type(transform) is MMCVLoadImageFromFile:
            transforms[number] = transform = LoadImageFromFile.like(transform)
            exchanged += 1
        if isinstance(transform, LoadImageFromFile):
            transform.training = training
            _draw_before_decoding(transform, transforms[number + 1 : number + 2])
        elif isinstance(transform, MMCVLoadImageFromFile):
            transform.ignore_empty = transform.ignore_empty and training
        elif isinstance(transform, list):
            exchanged += _exchange(Compose(transform), training)
        else:
            transforms[number] = in_less_time(transform)
            exchanged += _exchange(transform, training)
    return exchanged


def _draw_before_decoding(loader: LoadImageFromFile, behind: Sequence[Any]) -> None:
    """Let a crop behind a loader draw before the picture is decoded, where it wants that."""
    if behind and isinstance(behind[0], RandomResizedCrop) and behind[0].dct_scaling:
        loader.crop = behind[0]
        behind[0].drawn_by_loader = True


def _size(data: Any) -> str:
    image = data.get("img") if isinstance(data, dict) else None
    shape = getattr(image, "shape", None)
    return f" ({shape[1]} x {shape[0]} px)" if shape is not None and len(shape) >= 2 else ""
