"""Evaluators tried on one made-up sample: what they refuse, they refuse before the first step.

MMEngine builds the metrics of a test when the test begins, and a metric looks at most of its
arguments when it computes, after a whole epoch.
"""

import copy
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.fileio import dump
from mmengine.logging import MMLogger
from mmengine.registry import METRICS

from mmrbdc.config_errors import told_as_config_error
from mmrbdc.datasets.coco.index import quietly
from mmrbdc.datasets.configs import find_evaluators
from mmrbdc.engine.checks.first_step import check_topk
from mmrbdc.ops import has_ops

_OF_CLASSIFIERS = (
    "mmpretrain.evaluation.metrics.single_label",
    "mmpretrain.evaluation.metrics.multi_label",
)
_OURS = "mmrbdc.CocoMetric"
_DEVICES = ("cpu", "gpu")
_SIDE = 64
"""Of the made-up image, pixels."""


def check_metrics(cfg: Mapping[str, Any], *splits: str) -> None:
    """Build the evaluators of some splits, and let those that are known score one made-up sample.

    Known are MMPretrain's metrics of classifiers and our ``CocoMetric``, as
    :func:`mmrbdc.engine.evaluation.evaluators.use_one_limit` sets it; others are only built, as a
    run builds them.

    Args:
        cfg: with ``model``; the places of its data have been checked.
        splits: ``'val'``, ``'test'``.

    Raises:
        ConfigError: it cannot be built, or cannot score; names it and says what it refuses.
    """
    for split in splits:
        for key, evaluator in find_evaluators(cfg, split):
            with (
                tempfile.TemporaryDirectory() as folder,
                _silent(),
                told_as_config_error(key, evaluator),
            ):
                _try(evaluator, cfg, Path(folder))


def scoring_errors(cfg: Config) -> list[str]:
    """What the start of a run would say of a config's evaluators; changes nothing."""
    if cfg.get("default_scope") == "mmdet" and not has_ops():
        return []  # nor can the run start
    cfg = copy.deepcopy(cfg)
    try:
        check_topk(cfg, "val", "test")
        if has_ops():
            from mmrbdc.engine.evaluation.evaluators import use_one_limit

            use_one_limit(cfg, "val", "test")
        check_metrics(cfg, "val", "test")
    except ValueError as error:
        return [str(error)]
    return []


def _try(evaluator: Mapping[str, Any], cfg: Mapping[str, Any], folder: Path) -> None:
    if not evaluator.get("type"):
        raise ValueError(f"it has no type, only {', '.join(map(str, evaluator)) or 'nothing'}")
    ours = evaluator["type"] == _OURS
    config = _on_made_up_image(evaluator, folder) if ours else dict(evaluator)
    scoped = METRICS.switch_scope_and_registry(cfg.get("default_scope"))
    with scoped as registry:
        metric: BaseMetric = registry.build(config)
    if metric.collect_device not in _DEVICES:
        raise ValueError(f"collect_device={metric.collect_device!r}, known are 'cpu' and 'gpu'")
    model = cfg.get("model") or {}
    classes: tuple[str, ...]
    if ours:
        sample, classes = _detection(model), ("object",)
    elif type(metric).__module__ in _OF_CLASSIFIERS:
        number = (model.get("head") or {}).get("num_classes")
        if not isinstance(number, int):
            return
        sample, classes = _classification(number), tuple(map(str, range(number)))
    else:
        return
    metric.dataset_meta = dict(classes=classes)
    metric.process({}, [sample])
    metric.compute_metrics(metric.results)


def _on_made_up_image(evaluator: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A ``CocoMetric`` with annotations of one image with one object."""
    box = [8, 8, _SIDE // 2, _SIDE // 2]
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    annotation = dict(
        id=1,
        image_id=1,
        category_id=1,
        bbox=box,
        area=box[2] * box[3],
        iscrowd=0,
        segmentation=[[left, top, right, top, right, bottom, left, bottom]],
    )
    content = dict(
        images=[dict(id=1, file_name="1.png", width=_SIDE, height=_SIDE)],
        annotations=[annotation],
        categories=[dict(id=1, name="object")],
    )
    path = folder / "annotations.json"
    dump(content, str(path))
    config = {**evaluator, "ann_file": str(path), "backend_args": None, "use_mp_eval": False}
    if evaluator.get("outfile_prefix") is not None:
        config["outfile_prefix"] = str(folder / "results")
    return config


def _detection(model: Mapping[str, Any]) -> dict[str, Any]:
    """What a detector finds; with a mask, unless it has regions of interest without masks."""
    found: dict[str, Any] = dict(
        bboxes=torch.tensor([[8.0, 8.0, 40.0, 40.0]]),
        scores=torch.tensor([0.9]),
        labels=torch.tensor([0]),
    )
    regions = model.get("roi_head")
    if not regions or regions.get("mask_head"):
        masks = torch.zeros(1, _SIDE, _SIDE, dtype=torch.bool)
        masks[:, 8:40, 8:40] = True
        found["masks"] = masks
    return dict(img_id=1, ori_shape=(_SIDE, _SIDE), pred_instances=found)


def _classification(classes: int) -> dict[str, Any]:
    """What a classifier finds, and what is true."""
    from mmpretrain.structures import DataSample

    scores = torch.zeros(classes)
    scores[0] = 1.0
    return DataSample().set_gt_label(0).set_pred_label(0).set_pred_score(scores).to_dict()


@contextmanager
def _silent() -> Iterator[None]:
    """Keep figures of made-up samples out of the log and from the screen."""
    logger = MMLogger.get_current_instance()
    before, logger.disabled = logger.disabled, True
    try:
        with quietly():
            yield
    finally:
        logger.disabled = before
