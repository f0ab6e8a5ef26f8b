"""timm's ``config.json``, which lies beside a file of weights: written and read.

timm counts pixels from 0 to 1 and its colours are RGB. A folder with ``config.json`` and
``model.safetensors`` is what ``timm.create_model('local-dir:FOLDER', pretrained=True)`` takes.
"""

import math
from collections.abc import Mapping
from typing import Any

from mmrbdc.weights.record import DataRecord, Preprocessing, class_names

_WHITE = 255.0
_DIGITS = 12
"""Behind the point: 57.12 / 255 is to read 0.224."""


def timm_config(num_classes: int, record: DataRecord, model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``config.json``.

    Args:
        num_classes: 0 for a file without a head.
        record: what is known of the model's data, colours in RGB.
        model: what the family says there of the architecture.
    """
    pretrained: dict[str, Any] = {"num_classes": num_classes, "custom_load": False}
    if record.preprocessing is not None:
        pretrained |= _numbers(record.preprocessing)
    config: dict[str, Any] = {"num_classes": num_classes, **model}
    if record.classes is not None and len(record.classes) == num_classes:
        config["label_names"] = list(record.classes)
    return {**config, "pretrained_cfg": pretrained}


def timm_record(config: Mapping[str, Any]) -> tuple[DataRecord, int | None]:
    """Read ``config.json``: the record, and the number of classes that it says, if it does.

    Raises:
        KeyError, TypeError, ValueError: it is not what timm writes.
    """
    own = config.get("pretrained_cfg", config)
    pixels = None
    if own.get("mean") is not None and own.get("std") is not None:
        mean, std = (tuple(float(v) * _WHITE for v in own[key]) for key in ("mean", "std"))
        size = own.get("input_size")
        height, width = (int(size[1]), int(size[2])) if size else (0, 0)
        squashed = own.get("crop_mode") == "squash" or not own.get("crop_pct") or not size
        pixels = Preprocessing(
            mean,
            std,
            "grey" if len(mean) == 1 else "rgb",
            image_size=(height, width) if size else None,
            short_edge=None if squashed else math.floor(height / own["crop_pct"]),
            interpolation=own.get("interpolation"),
        )
    names = config.get("label_names", own.get("label_names"))
    if isinstance(names, Mapping):
        names = [names[key] for key in sorted(names, key=int)]
    classes = config.get("num_classes", own.get("num_classes"))
    return DataRecord(pixels, class_names(names)), classes


def _numbers(pixels: Preprocessing) -> dict[str, Any]:
    found: dict[str, Any] = {
        "mean": [round(value / _WHITE, _DIGITS) for value in pixels.mean],
        "std": [round(value / _WHITE, _DIGITS) for value in pixels.std],
    }
    if pixels.image_size is not None:
        found["input_size"] = [len(pixels.mean), *pixels.image_size]
        edge = pixels.short_edge
        found["crop_mode"] = "center" if edge else "squash"
        found["crop_pct"] = _share(pixels.image_size[0], edge) if edge else 1.0
    if pixels.interpolation is not None:
        found["interpolation"] = pixels.interpolation
    return found


def _share(size: int, edge: int) -> float:
    """What timm divides ``size`` by, and rounds down, to get ``edge``."""
    share = size / edge
    return share if math.floor(size / share) == edge else math.nextafter(share, 0)
