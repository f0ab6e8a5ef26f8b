"""How much memory a detector's training step needs, at the largest image of its recipe."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmrbdc.config_parts import type_name
from mmrbdc.engine.cost.memory import (
    StepMemory,
    autocast_as_on_gpu,
    memory_of,
    traced_step,
)
from mmrbdc.engine.cost.on_meta import build_on_meta
from mmrbdc.engine.optim.amp import autocasts
from mmrbdc.plan import PlanError


def largest_image(cfg: Config) -> tuple[int, int]:
    """Height and width of the largest batch that the train pipeline can make, after padding.

    Pictures of both orientations make it square, unless batches are of one aspect ratio
    (``AspectRatioBatchSampler``) or of one image.

    Raises:
        PlanError: no transform of the pipeline bounds the size.
    """
    loader = cfg.train_dataloader
    pipelines = list(_pipelines(loader.dataset))
    found = [_bounded(pipeline, None) for pipeline in pipelines]
    bounds = [sides for sides in found if sides is not None]
    if not bounds or len(bounds) < len(pipelines):
        raise PlanError(
            "the size of the images is unknown: no Resize, RandomResize, RandomChoiceResize, "
            "RandomCrop or Pad of the train pipeline bounds it"
        )
    long, short = (max(side) for side in zip(*bounds, strict=True))
    preprocessor = cfg.model.get("data_preprocessor") or {}
    long, short = _batched(preprocessor.get("batch_augments") or [], long, short)
    mixed = loader.batch_size > 1 and not loader.get("batch_sampler")
    by = preprocessor.get("pad_size_divisor", 1)
    height, width = (math.ceil(side / by) * by for side in (long if mixed else short, long))
    return height, width


def _pipelines(dataset: Mapping[str, Any]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Of each part of a data set the outermost pipeline, which is applied last."""
    if dataset.get("pipeline"):
        yield dataset["pipeline"]
    elif isinstance(dataset.get("dataset"), Mapping):
        yield from _pipelines(dataset["dataset"])
    for part in dataset.get("datasets") or []:
        yield from _pipelines(part)


def _batched(augments: Sequence[Mapping[str, Any]], long: int, short: int) -> tuple[int, int]:
    """Sides behind what the preprocessor does to whole batches."""
    for step in augments:
        kind = type_name(step)
        if kind == "BatchSyncRandomResize":
            most = max(step["random_size_range"])
            long, short = max(long, most), max(short, most)
        elif kind == "BatchFixedSizePad":
            long, short = _largest([step["size"]], 1.0)
        else:
            raise PlanError(
                f"the size of the images is unknown: model.data_preprocessor.batch_augments has "
                f"{kind}, of which it is not known what it makes of them"
            )
    return long, short


def _bounded(
    steps: Sequence[Mapping[str, Any]], sides: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Longer and shorter side at most, behind these transforms."""
    for step in steps:
        kind = type_name(step)
        if kind == "RandomChoice":
            branches = [b if isinstance(b, list | tuple) else [b] for b in step["transforms"]]
            ends = [_bounded(branch, sides) for branch in branches]
            sides = max((end for end in ends if end), default=sides)
        elif kind in ("Resize", "RandomResize", "RandomChoiceResize", "FixScaleResize"):
            scales = step.get("scales") or step.get("scale")
            largest = max(step.get("ratio_range") or (1.0,))
            sides = _largest(scales, largest) if scales is not None else sides
        elif kind == "RandomCrop" and step.get("crop_type", "absolute").startswith("absolute"):
            crop = _largest([step["crop_size"]], 1.0)
            sides = crop if sides is None else (min(sides[0], crop[0]), min(sides[1], crop[1]))
        elif kind == "FixShapeResize":
            sides = _largest([(step["height"], step["width"])], 1.0)
        elif kind == "Pad" and step.get("size"):
            sides = _largest([step["size"]], 1.0)
        elif kind == "Pad" and sides is not None:
            by = step.get("size_divisor") or 1
            square = step.get("pad_to_square")
            long, short = (math.ceil(side / by) * by for side in sides)
            sides = (long, long if square else short)
    return sides


def _largest(scales: Any, ratio: float) -> tuple[int, int]:
    """Longer and shorter side of the largest of some scales."""
    given = [scales] if isinstance(scales, int) or isinstance(scales[0], int) else scales
    pairs = [(one, one) if isinstance(one, int) else tuple(one) for one in given]
    return (
        round(max(max(pair) for pair in pairs) * ratio),
        round(max(min(pair) for pair in pairs) * ratio),
    )


def detector_step_memory(
    cfg: Config,
    image_size: tuple[int, int],
    batch: int,
    *,
    amp: bool = False,
    processes: int = 1,
) -> StepMemory:
    """Count the memory of a detector's training step.

    Backbone, neck and heads run forward and backward on fake tensors. mmcv's operators cannot:
    what RoIAlign gives has the shape that the samplers' numbers make, and in the place of the
    losses stands one that keeps as much of every output. Tables of overlaps between objects and
    anchors, which come and go in the forward pass, are not in it.

    Args:
        cfg: of the detector.
        image_size: height and width of the padded images in pixels.
        batch: images on this device.
        amp: forward under bfloat16 autocast.
        processes: that train together, each on a device of its own.

    Raises:
        PlanError: it is neither of one nor of two stages, or its heads are of another kind.
    """
    amp = amp or autocasts(cfg)

    def loss_of(model: Any) -> Tensor:
        with autocast_as_on_gpu(amp):
            try:
                outputs = list(_outputs(model, image_size, batch))
            except (AttributeError, NotImplementedError, TypeError) as error:
                raise PlanError(
                    f"the memory of a {type(model).__name__} cannot be counted: its heads take "
                    f"other than features and pooled regions ({error})"
                ) from error
            return sum((_loss(output) for output in outputs), torch.zeros(()))

    step = traced_step(build_on_meta(cfg.model, scope="mmdet"), loss_of, "mmdet")
    return memory_of(step, cfg, batch, processes=processes)


def _outputs(model: Any, image_size: tuple[int, int], batch: int) -> Iterator[Tensor]:
    """What all parts of a detector make of a batch."""
    features = model.extract_feat(torch.zeros(batch, 3, *image_size))
    heads = [head for name in ("rpn_head", "bbox_head") if (head := getattr(model, name, None))]
    if not heads:
        raise PlanError(
            f"{type(model).__name__} has neither an rpn_head nor a bbox_head of its own, so that "
            "its memory cannot be counted; it is for detectors of one or two stages"
        )
    for head in heads:
        yield from _tensors(head(features))
    roi_head = getattr(model, "roi_head", None)
    if roi_head is None:
        return
    samplers = _listed(roi_head.bbox_sampler)
    for kind, share in (("bbox", lambda s: 1.0), ("mask", lambda s: s.pos_fraction)):
        parts = _listed(getattr(roi_head, f"{kind}_head", None))
        extractors = _listed(getattr(roi_head, f"{kind}_roi_extractor", None))
        for number, head in enumerate(parts):
            sampler = samplers[min(number, len(samplers) - 1)]
            extractor = extractors[min(number, len(extractors) - 1)]
            count = int(sampler.num * share(sampler)) * batch
            size = extractor.roi_layers[0].output_size
            pooled = torch.zeros(count, extractor.out_channels, *size, requires_grad=True)
            yield from _tensors(head(pooled))


def _loss(output: Tensor) -> Tensor:
    """One that keeps an output in float32 and makes a gradient of its size."""
    return output.float().square().sum()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)


def _listed(parts: Any) -> list[Any]:
    if parts is None:
        return []
    return list(parts) if isinstance(parts, nn.ModuleList | list) else [parts]
