"""timm's ``config.json``, which lies beside a file of weights: written and read.

timm counts pixels from 0 to 1 and its colours are RGB. A folder with ``config.json`` and
``model.safetensors`` is what ``timm.create_model('local-dir:FOLDER', pretrained=True)`` takes.
"""

import math
from collections.abc import Mapping
from typing import Any

from mmrbdc.families import Architecture, DeiT, ResNet
from mmrbdc.families.resnet import BOTTLENECK_DEPTHS
from mmrbdc.weights.record import DataRecord, Preprocessing, class_names

_WHITE = 255.0
_DIGITS = 12
"""Behind the point: 57.12 / 255 is to read 0.224."""
_NAMED_WIDTHS = {192: "tiny", 384: "small"}


def timm_config(
    architecture: Architecture, num_classes: int, record: DataRecord, *, heads_known: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return the content of ``config.json``, and notes for its reader.

    Args:
        architecture: of the model.
        num_classes: 0 for a file without a head.
        record: what is known of its data, colours in RGB.
        heads_known: whether the number of attention heads is.
    """
    notes = []
    name, arguments, pool = (
        _vit(architecture) if isinstance(architecture, DeiT) else _resnet(architecture)
    )
    if isinstance(architecture, DeiT) and not heads_known:
        del arguments["num_heads"]
        notes.append("the file does not say its attention heads: model_args.num_heads is yours")
    pretrained: dict[str, Any] = {"num_classes": num_classes, "custom_load": False}
    if record.preprocessing is not None:
        pretrained |= _numbers(record.preprocessing)
    config: dict[str, Any] = {"num_classes": num_classes}
    if name is None:
        notes.append(
            "timm's create_model builds no ResNet of this stem or expansion: config.json names no "
            "architecture"
        )
    else:
        config |= {"architecture": name, "global_pool": pool, "model_args": arguments}
    if record.classes is not None and len(record.classes) == num_classes:
        config["label_names"] = list(record.classes)
    return {**config, "pretrained_cfg": pretrained}, notes


def timm_record(config: Mapping[str, Any]) -> tuple[DataRecord, int | None]:
    """Read ``config.json``: the record, and the number of classes that it says, if it does.

    Raises:
        KeyError, TypeError, ValueError: It is not what timm writes.
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


def _vit(own: DeiT) -> tuple[str | None, dict[str, Any], str]:
    usual = own.head_size == 64 and own.depth == 12
    kind = _NAMED_WIDTHS.get(own.embed_dims, "base") if usual else "base"
    distilled = "_distilled" if own.distilled else ""
    arguments: dict[str, Any] = dict(
        img_size=list(own.img_size),
        patch_size=list(own.patch_size),
        in_chans=own.in_channels,
        embed_dim=own.embed_dims,
        depth=own.depth,
        num_heads=own.num_heads,
        mlp_ratio=own.feedforward_channels / own.embed_dims,
        qkv_bias=own.qkv_bias,
        pre_norm=own.pre_norm,
        class_token=own.with_cls_token,
    )
    if own.layer_scale:
        arguments["init_values"] = 1e-5
    pool = "avg" if own.pooled_norm else "token"
    return f"deit_{kind}{distilled}_patch16_224", {**arguments, "global_pool": pool}, pool


def _resnet(own: Any) -> tuple[str | None, dict[str, Any], str]:
    assert isinstance(own, ResNet)
    usual = 4 if own.depth in BOTTLENECK_DEPTHS else 1
    if own.expansion != usual or not (own.deep_stem or own.stem_channels == 64):
        return None, {}, "avg"
    arguments: dict[str, Any] = dict(
        in_chans=own.in_channels, channels=[own.base_channels * 2**i for i in range(4)]
    )
    if own.deep_stem:
        arguments |= dict(stem_type="deep", stem_width=own.stem_channels // 2)
        arguments |= dict(avg_down=own.avg_down)
    return f"resnet{own.depth}", arguments, "avg"
