"""Hugging Face's ``config.json`` and ``preprocessor_config.json``: written and read.

Its image processors multiply a pixel of 0 to 255 by ``rescale_factor``, usually 1/255, before they
normalise; the colours are RGB.
"""

from collections.abc import Mapping
from typing import Any

from mmrbdc.weights.record import DataRecord, Preprocessing, class_names

_RESCALE = 1 / 255
_DIGITS = 12
"""Behind the point: 57.12 / 255 is to read 0.224."""
_RESAMPLE = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
"""PIL's numbers of what OpenMMLab calls by name."""
_CONVNEXT_EDGE = 384
"""Below this size ConvNext's processor, which Hugging Face's ResNets have, cuts by ``crop_pct``."""


def class_labels(num_classes: int, record: DataRecord) -> dict[str, Any]:
    """Return what ``config.json`` says of the classes; nothing for a file without a head."""
    if not num_classes:
        return {}
    names = record.classes or [f"LABEL_{i}" for i in range(num_classes)]
    return {
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
    }


def processor_config(pixels: Preprocessing) -> dict[str, Any]:
    """Return the content of ``preprocessor_config.json`` for images in RGB.

    ``BitImageProcessor`` is the one that brings the short edge to a size and cuts the centre out,
    ``ViTImageProcessor`` the one that brings the image to a size.
    """
    config: dict[str, Any] = {
        "do_rescale": True,
        "rescale_factor": _RESCALE,
        "do_normalize": True,
        "image_mean": [round(value * _RESCALE, _DIGITS) for value in pixels.mean],
        "image_std": [round(value * _RESCALE, _DIGITS) for value in pixels.std],
        "do_resize": pixels.image_size is not None,
    }
    if pixels.interpolation in _RESAMPLE:
        config["resample"] = _RESAMPLE[pixels.interpolation]
    kind = "ViTImageProcessor"
    if pixels.image_size is not None:
        size = {"height": pixels.image_size[0], "width": pixels.image_size[1]}
        config["size"] = size
        if pixels.short_edge:
            kind = "BitImageProcessor"
            config["size"] = {"shortest_edge": pixels.short_edge}
            config |= {"do_center_crop": True, "crop_size": size, "do_convert_rgb": True}
    return {"image_processor_type": kind, **config}


def class_record(config: Mapping[str, Any]) -> tuple[DataRecord, int | None]:
    """Read ``config.json``: its class names, where they are more than numbers, and how many.

    Raises:
        KeyError, TypeError, ValueError: it is not what transformers write.
    """
    labels = config.get("id2label")
    if not labels:
        return DataRecord(), config.get("num_labels")
    names = [str(labels[key]) for key in sorted(labels, key=int)]
    placeholders = [f"LABEL_{i}" for i in range(len(names))]
    return DataRecord(None, class_names([] if names == placeholders else names)), len(names)


def pixel_record(config: Mapping[str, Any]) -> DataRecord:
    """Read ``preprocessor_config.json``; nothing is recorded where it leaves mean and std to the
    class's defaults.

    Raises:
        KeyError, TypeError, ValueError: it is not what transformers write.
    """
    factor = float(config.get("rescale_factor", _RESCALE)) if config.get("do_rescale", True) else 1
    mean, std = [0.0] * 3, [1.0] * 3
    if config.get("do_normalize", True):
        if config.get("image_mean") is None or config.get("image_std") is None:
            return DataRecord()
        mean, std = config["image_mean"], config["image_std"]
    cropped = bool(config.get("do_center_crop")) and config.get("crop_size") is not None
    given = config.get("size") if config.get("do_resize", True) else None
    size = _height_width(config["crop_size"] if cropped else given)
    edge = None
    if size and isinstance(given, Mapping) and given.get("shortest_edge"):
        edge = int(given["shortest_edge"])
        if config.get("crop_pct") and edge < _CONVNEXT_EDGE:
            edge = int(edge / config["crop_pct"])
    names = {number: name for name, number in _RESAMPLE.items()}
    pixels = Preprocessing(
        tuple(value / factor for value in mean),
        tuple(value / factor for value in std),
        "grey" if len(mean) == 1 else "rgb",
        image_size=size,
        short_edge=edge,
        interpolation=names.get(config.get("resample", -1)),
    )
    return DataRecord(pixels)


def _height_width(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping):
        edge = size.get("shortest_edge")
        height, width = size.get("height", edge), size.get("width", edge)
        return (int(height), int(width)) if height and width else None
    return None
