"""The size of the images that a config trains on: found in its pipelines, and changed there."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from mmrbdc.datasets.preprocessing import inner_dataset
from mmrbdc.families.options import type_name
from mmrbdc.plan import PlanError

SIZE_ARGUMENT = {
    "CenterCrop": "crop_size",
    "EfficientNetCenterCrop": "crop_size",
    "EfficientNetRandomCrop": "scale",
    "RandomCrop": "crop_size",
    "RandomResizedCrop": "scale",
    "Resize": "scale",
}
"""Transforms after which every image has one size, and the argument that says which."""

_CROPS = ("CenterCrop", "RandomCrop")
"""Those of them that cut pixels out and resize nothing."""

_PIXELS = ("scale", "crop_size", "padding", "crop_padding")
"""Arguments of transforms that resize or crop which count pixels."""


def input_size(cfg: Config) -> tuple[int, int]:
    """Height and width in pixels of the images that the model of ``cfg`` is trained on.

    Taken from the config's ``input_size``, or else from the last transform of the train pipeline
    that fixes a size, or else from the backbone's ``img_size``.

    Raises:
        PlanError: None of them says it.
    """
    size = cfg.get("input_size") or _pipeline_size(
        inner_dataset(cfg.train_dataloader.dataset).get("pipeline", [])
    )
    size = size or cfg.model.backbone.get("img_size")
    if size is None:
        raise PlanError(
            "the input size is unknown: neither the train pipeline nor the backbone fixes one; "
            "set input_size (pixels) at the top of the config"
        )
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def check_canvas(cfg: Config) -> None:
    """Check a detector's ``image_size`` where its config says one, as the template does.

    A DeiT's canvas is that square, and its tokens cover whole patches: another side would be padded
    once more, by the backbone. COCO's own recipes say (height, width) and are left alone.

    Raises:
        ValueError: it is not a number of pixels, or not a multiple of the backbone's patch size.
    """
    side = cfg.get("image_size")
    if side is None or (isinstance(side, tuple | list) and not _nested_crop(cfg)):
        return
    if not isinstance(side, int) or isinstance(side, bool) or side < 1:
        raise ValueError(f"image_size={side!r}: give one number of pixels, the side of a square")
    patch = cfg.model.backbone.get("patch_size")
    if patch and side % patch:
        near = [str(n) for n in (side // patch * patch, -(-side // patch) * patch) if n]
        raise ValueError(
            f"image_size={side} is not a multiple of the backbone's patch size {patch}; set it to "
            + " or ".join(near)
        )


def _nested_crop(cfg: Config) -> bool:
    """Whether a pair stands where the pipeline wants a number."""
    steps = inner_dataset(cfg.train_dataloader.dataset).get("pipeline", [])
    return any(isinstance(v, tuple | list) for step in steps for v in step.get("crop_size", ()))


def set_image_size(cfg: Config, pixels: int) -> None:
    """Make a config of square images train, validate and test on images of another size.

    Args:
        cfg: the config; changed. Its model is not.
        pixels: height and width to reach.

    Raises:
        PlanError: a data set without a pipeline of its own.
    """
    before = input_size(cfg)[0]
    changed = []
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        if not cfg.get(name):
            continue
        dataset = inner_dataset(cfg[name].dataset)
        if "pipeline" not in dataset:
            raise PlanError(
                f"{name}.dataset ({dataset.get('type')}) has no pipeline that could bring its "
                f"images to {pixels} px; leave img_size out, or give the data set a pipeline"
            )
        changed.append((dataset, scaled_pipeline(dataset["pipeline"], before, pixels)))
    for dataset, pipeline in changed:  # afterwards: loaders may share a data set
        dataset["pipeline"] = pipeline
    if cfg.get("input_size"):
        cfg.input_size = pixels


def scaled_pipeline(
    pipeline: Sequence[Mapping[str, Any]], before: int, after: int
) -> list[dict[str, Any]]:
    """Copy a pipeline, its images scaled from ``before`` to ``after`` pixels.

    What resizes is scaled in proportion, and so are the crops behind it: the same part of an image
    is seen with fewer pixels, 256 and a crop of 224 become 128 and a crop of 112. Where nothing
    resizes, whether or not something crops, a ``Resize`` in front of ``PackInputs`` does it: a crop
    of 224 becomes the same crop, resized to 112.

    Args:
        pipeline: configs of transforms.
        before: size of the training images that the config is written for.
        after: size that these shall have.
    """
    scaled, resizes = [], False
    for transform in pipeline:
        kind = _kind(transform)
        if kind == "ResizeEdge" or (kind not in _CROPS and SIZE_ARGUMENT.get(kind) in transform):
            resizes = True
        changes = {}
        if resizes and (kind == "ResizeEdge" or kind in SIZE_ARGUMENT):
            given = [key for key in _PIXELS if transform.get(key) is not None]
            changes = {key: _scaled(transform[key], before, after) for key in given}
        scaled.append({**transform, **changes})
    if not resizes:
        size = _scaled(_pipeline_size(pipeline) or before, before, after)
        kinds = [_kind(transform) for transform in scaled]
        end = kinds.index("PackInputs") if "PackInputs" in kinds else len(scaled)
        scaled.insert(end, {"type": "Resize", "scale": size})
    return scaled


def _scaled(value: Any, before: int, after: int) -> Any:
    if isinstance(value, int):
        return max(1, round(value * after / before)) if value > 0 else value
    return tuple(_scaled(one, before, after) for one in value)


def _pipeline_size(pipeline: Sequence[Mapping[str, Any]]) -> int | tuple[int, int] | None:
    for transform in reversed(pipeline):
        argument = SIZE_ARGUMENT.get(_kind(transform))
        if argument in transform:
            return transform[argument]
    return None


def _kind(transform: Mapping[str, Any]) -> str:
    return type_name(transform, "a transform of a pipeline")
