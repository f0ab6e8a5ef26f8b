"""Hugging Face's ``config.json`` and ``preprocessor_config.json``: written and read.

Its image processors multiply a pixel of 0 to 255 by ``rescale_factor``, usually 1/255, before they
normalise; the colours are RGB.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmrbdc.families import Architecture, DeiT, ResNet
from mmrbdc.families.resnet import BOTTLENECK_DEPTHS, STAGE_BLOCKS
from mmrbdc.weights.record import DataRecord, Preprocessing, class_names

_RESCALE = 1 / 255
_DIGITS = 12
"""Behind the point: 57.12 / 255 is to read 0.224."""
_RESAMPLE = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
"""PIL's numbers of what OpenMMLab calls by name."""
_CONVNEXT_EDGE = 384
"""Below this size ConvNext's processor, which Hugging Face's ResNets have, cuts by ``crop_pct``."""


def model_config(
    architecture: Architecture,
    tensors: Mapping[str, Tensor],
    record: DataRecord,
    *,
    eps: float,
    heads_known: bool,
) -> tuple[dict[str, Any], list[str]]:
    """Return the content of ``config.json``, and notes for its reader.

    Args:
        architecture: of the model.
        tensors: in Hugging Face's names; they tell which of its classes has them.
        record: what is known of the model's data.
        eps: of the norms of a ViT.
        heads_known: whether the number of attention heads is known.
    """
    heads = [name for name in tensors if "classifier" in name]
    notes = []
    if isinstance(architecture, DeiT):
        config = _vit(architecture, eps)
        end = "ForImageClassification"
        if any(name.startswith("distillation_") for name in heads):
            end += "WithTeacher"
        kind = "DeiT" if architecture.distilled else "ViT"
        if not heads_known:
            del config["num_attention_heads"]
            notes.append(
                "the file does not say its attention heads: num_attention_heads in config.json is "
                "yours"
            )
    else:
        config, kind, end = _resnet(architecture), "ResNet", "ForImageClassification"
    config |= {"architectures": [kind + (end if heads else "Model")], "model_type": kind.lower()}
    if heads:
        names = record.classes or [f"LABEL_{i}" for i in range(architecture.num_classes)]  # type: ignore[attr-defined]
        config["id2label"] = {str(i): name for i, name in enumerate(names)}
        config["label2id"] = {name: i for i, name in enumerate(names)}
    return config, notes


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
        KeyError, TypeError, ValueError: It is not what transformers write.
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
        KeyError, TypeError, ValueError: It is not what transformers write.
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


def _vit(own: DeiT, eps: float) -> dict[str, Any]:
    return dict(
        hidden_size=own.embed_dims,
        num_hidden_layers=own.depth,
        num_attention_heads=own.num_heads,
        intermediate_size=own.feedforward_channels,
        hidden_act="gelu",
        image_size=own.img_size[0],
        patch_size=own.patch_size[0],
        num_channels=own.in_channels,
        qkv_bias=own.qkv_bias,
        layer_norm_eps=eps,
    )


def _resnet(own: Architecture) -> dict[str, Any]:
    assert isinstance(own, ResNet)
    return dict(
        num_channels=own.in_channels,
        embedding_size=own.stem_channels,
        hidden_sizes=[own.base_channels * own.expansion * 2**i for i in range(own.num_stages)],
        depths=list(STAGE_BLOCKS[own.depth][: own.num_stages]),
        layer_type="bottleneck" if own.depth in BOTTLENECK_DEPTHS else "basic",
        hidden_act="relu",
        downsample_in_first_stage=False,
        downsample_in_bottleneck=own.style == "caffe",
    )
