"""What a config of MMPretrain or MMDetection makes of the pixels of an image before its model."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmrbdc.families.options import type_name
from mmrbdc.weights import DataRecord, Preprocessing
from mmrbdc.weights.record import class_names

_PREPROCESSORS = (
    "ClsDataPreprocessor",
    "DetDataPreprocessor",
    "ImgDataPreprocessor",
    "SegDataPreProcessor",
)
_LOADERS = ("test_dataloader", "val_dataloader", "train_dataloader")
_SWAPS = ("to_rgb", "bgr_to_rgb", "rgb_to_bgr")
_CROPS = ("CenterCrop", "EfficientNetCenterCrop")


def preprocessing_of(
    preprocessor: Mapping[str, Any], pipeline: Sequence[Mapping[str, Any]]
) -> Preprocessing | None:
    """Read mean, std and channel order off a model's preprocessor, the geometry off a pipeline.

    OpenMMLab's loading gives BGR of 0 to 255; the preprocessor may exchange the colours and
    normalises then. A pipeline may do both instead, with mmcv's ``Normalize``.

    Args:
        preprocessor: config of the model's ``data_preprocessor``; empty for MMPretrain's default,
            which leaves pixels as they are.
        pipeline: configs of the transforms with which the model is scored; empty for no geometry.

    Returns:
        None where it cannot be told: another kind of preprocessor, torchvision's transforms.
    """
    kind = type_name(preprocessor, "data_preprocessor") if "type" in preprocessor else ""
    if kind and kind not in _PREPROCESSORS:
        return None
    kinds = [type_name(transform, "a transform of a pipeline") for transform in pipeline]
    if any("/" in name or name in ("NumpyToPIL", "PILToNumpy") for name in kinds):
        return None
    normalising = [preprocessor] if preprocessor.get("mean") is not None else []
    swaps = [any(preprocessor.get(key) for key in _SWAPS)]
    for name, transform in zip(kinds, pipeline, strict=True):
        if name == "Normalize":
            normalising.append(transform)
            swaps.append(transform.get("to_rgb", True))
    if len(normalising) > 1 or sum(swaps) > 1:
        return None
    grey = any(transform.get("color_type") == "grayscale" for transform in pipeline)
    colours = 1 if grey else 3
    numbers = normalising[0] if normalising else {"mean": 0.0, "std": 1.0}
    mean, std = (_numbers(numbers[key], colours) for key in ("mean", "std"))
    if len(mean) != colours or len(std) != colours or min(std) <= 0:
        return None
    channels = "grey" if grey else "rgb" if any(swaps) else "bgr"
    return Preprocessing(mean, std, channels, **_geometry(kinds, pipeline))


def config_record(cfg: Mapping[str, Any]) -> DataRecord:
    """Read what a whole config says of its data: preprocessing, and classes where it lists them.

    Args:
        cfg: of a classifier or a detector; a config without a preprocessor says nothing of it.
    """
    model = cfg.get("model") or {}
    preprocessor = model.get("data_preprocessor") or cfg.get("data_preprocessor")
    datasets = [found for name in _LOADERS if (found := _innermost(cfg.get(name)))]
    pipelines = [found for dataset in datasets if (found := dataset.get("pipeline"))]
    pixels = None
    if preprocessor:
        pixels = preprocessing_of(preprocessor, pipelines[0] if pipelines else [])
    names = [class_names((d.get("metainfo") or {}).get("classes")) for d in datasets]
    return DataRecord(pixels, next((found for found in names if found), None))


def inner_dataset(dataset: Any) -> Any:
    """The config of the data set inside of its wrappers: the one with the pipeline."""
    while "pipeline" not in dataset and "dataset" in dataset:
        dataset = dataset["dataset"]
    return dataset


def _innermost(loader: Any) -> Mapping[str, Any] | None:
    """The config of the data set with the pipeline, of several the first; None where there is no
    config.
    """
    found = loader.get("dataset") if isinstance(loader, Mapping) else None
    while isinstance(found, Mapping) and "pipeline" not in found:
        inner = found.get("dataset") or next(iter(found.get("datasets") or []), None)
        if inner is None:
            break
        found = inner
    return found if isinstance(found, Mapping) else None


def _geometry(kinds: Sequence[str], pipeline: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Size, short edge and interpolation of a pipeline that resizes, or crops, to one size."""
    found: dict[str, Any] = {}
    for name, transform in zip(kinds, pipeline, strict=True):
        if name == "ResizeEdge" and transform.get("edge", "short") == "short":
            found["short_edge"] = int(transform["scale"])
            found["interpolation"] = transform.get("interpolation", "bilinear")
        elif name == "Resize" and transform.get("scale") and not transform.get("keep_ratio"):
            scale = transform["scale"]  # mmcv's scale is (width, height)
            width, height = (scale, scale) if isinstance(scale, int) else scale
            found["image_size"] = (height, width)
            found["interpolation"] = transform.get("interpolation", "bilinear")
        elif name in _CROPS:
            size = transform["crop_size"]
            width, height = (size, size) if isinstance(size, int) else size
            found["image_size"] = (height, width)
    if "image_size" not in found:
        found.pop("short_edge", None)
    return found


def _numbers(value: Any, colours: int) -> tuple[float, ...]:
    """One number a colour; a single one is for all."""
    given = tuple(map(float, value)) if isinstance(value, Sequence) else (float(value),)
    return given * colours if len(given) == 1 else given
