"""Whether the pipelines of a detector's config load and pack what its model learns from and needs.

MMDetection finds out in the first step, or in the first image that it tests, by an error of its
code. Only pipelines whose steps all come with MMDetection, MMCV or this package are judged.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmrbdc.config_parts import type_name
from mmrbdc.datasets.configs import LOADERS, find_evaluators
from mmrbdc.datasets.errors import DataError

_KNOWN = ("mmcv.", "mmdet.", "mmrbdc.")
_HEADS = ("rpn_head", "roi_head", "bbox_head")
_LEARNT = dict(with_bbox="the boxes", with_label="their classes")
_OTHER_LOADERS = ("LoadEmptyAnnotations", "LoadProposals")
_SCORED_KEYS = ("img_id", "img_shape", "ori_shape")


def check_pipelines(cfg: Mapping) -> None:
    """Check the pipelines of all loaders of a detector's config; of other models nothing.

    Args:
        cfg: with ``model`` and any of ``{train,val,test}_dataloader``.

    Raises:
        DataError: names the pipeline, what is missing and the option that adds it.
    """
    model = cfg.get("model") or {}
    if not any(model.get(head) for head in _HEADS):
        return
    regions = model.get("roi_head")
    masks = bool(isinstance(regions, Mapping) and regions.get("mask_head"))
    for split in LOADERS:
        loader = cfg.get(f"{split}_dataloader")
        if not loader:
            continue
        for key, pipelines in _pipelines(f"{split}_dataloader.dataset", loader["dataset"]):
            steps = [
                found
                for name, pipeline in pipelines
                for number, step in enumerate(pipeline)
                for found in _steps(f"{name}.{number}", step)
            ]
            if not steps:
                continue
            kinds = [(place, step, _class_of(step)) for place, step in steps]
            if any(kind is None or not kind.__module__.startswith(_KNOWN) for *_, kind in kinds):
                continue
            if split == "train":
                _check_learnt(key, kinds, masks)
                needed: tuple[str, ...] = ("img_shape",)
            else:
                scored = [type_name(part) for _, part in find_evaluators(cfg, split)]
                needed = _SCORED_KEYS if "CocoMetric" in scored else _SCORED_KEYS[1:]
            _check_packed(key, kinds, needed)


def _check_learnt(key: str, kinds: list[tuple[str, Mapping, Any]], masks: bool) -> None:
    from mmcv.transforms import LoadAnnotations

    if any(kind.__name__ in _OTHER_LOADERS for *_, kind in kinds):
        return
    found = [part for part in kinds if issubclass(part[2], LoadAnnotations)]
    wanted = dict(with_bbox=True, with_mask=True) if masks else dict(with_bbox=True)
    if not found:
        options = ", ".join(f"{name}={value}" for name, value in wanted.items())
        raise DataError(
            f"{key}.pipeline has no LoadAnnotations, so that there is nothing to learn; put "
            f"dict(type='LoadAnnotations', {options}) behind the step that loads the image"
        )
    for name, what in _LEARNT.items():
        if not any(_asks_for(name, step, kind) for _, step, kind in found):
            place = found[0][0]
            raise DataError(
                f"{place} loads the annotations with {name}=False, and the model learns {what}; "
                f"set --cfg-options {place}.{name}=True"
            )
    if masks and not any(_asks_for("with_mask", step, kind) for _, step, kind in found):
        place = found[0][0]
        raise DataError(
            f"{place} loads no masks, and the model has model.roi_head.mask_head, which learns "
            f"them; set --cfg-options {place}.with_mask=True, or for data without masks take a "
            "model of boxes (configs/custom: the retinanet_* recipes, which read dataset_boxes.py)"
        )


def _asks_for(name: str, step: Mapping, kind: type) -> bool:
    """Whether a step loads that, by its config or by the default of its class or a base's."""
    for one in kind.__mro__:
        parameter = inspect.signature(one).parameters.get(name) if name not in step else None
        if parameter is not None and isinstance(parameter.default, bool):
            return parameter.default
    return bool(step.get(name))


def _check_packed(key: str, kinds: list[tuple[str, Mapping, Any]], needed: tuple[str, ...]) -> None:
    packing = [(place, step) for place, step, kind in kinds if kind.__name__.startswith("Pack")]
    if not packing:
        raise DataError(
            f"{key}.pipeline does not pack what it loads for the model; put "
            "dict(type='PackDetInputs') at its end"
        )
    for place, step in packing:
        keys = step.get("meta_keys")
        if keys is None:
            continue
        lost = [name for name in needed if name not in keys]
        if lost:
            raise DataError(
                f"{place}.meta_keys has no {' and no '.join(map(repr, lost))}, and the model or "
                f"its evaluator reads {'it' if len(lost) == 1 else 'them'}; add "
                f"{'it' if len(lost) == 1 else 'them'} to {tuple(keys)}, or leave meta_keys out"
            )


def _pipelines(
    key: str, dataset: Mapping, outer: tuple[tuple[str, Any], ...] = ()
) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """The pipelines that a sample of each data set passes, from the inside out, with their keys."""
    own = dataset.get("pipeline")
    passed = ((f"{key}.pipeline", own), *outer) if own else outer
    if isinstance(dataset.get("dataset"), Mapping):
        yield from _pipelines(f"{key}.dataset", dataset["dataset"], passed)
    elif dataset.get("datasets"):
        for number, part in enumerate(dataset["datasets"]):
            yield from _pipelines(f"{key}.datasets.{number}", part, passed)
    else:
        yield key, list(passed)


def _steps(key: str, step: Any) -> Iterator[tuple[str, Mapping]]:
    """A step, and those that it holds."""
    if isinstance(step, Mapping):
        yield key, step
        step, key = step.get("transforms") or (), f"{key}.transforms"
    if isinstance(step, list | tuple):
        for number, part in enumerate(step):
            yield from _steps(f"{key}.{number}", part)


def _class_of(step: Mapping) -> type | None:
    """The class of a step; None for one that nobody registered."""
    kind = step.get("type")
    if kind is None or isinstance(kind, type):
        return kind
    try:
        from mmdet.registry import TRANSFORMS
    except ImportError:
        return None
    return TRANSFORMS.get(str(kind))
