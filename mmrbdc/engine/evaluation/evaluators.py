"""Which of a config's evaluators score by COCO's rules, and how."""

from typing import Any

from mmdet.evaluation import CocoMetric as StockCocoMetric
from mmengine.config import Config

from mmrbdc.datasets.configs import find_evaluators
from mmrbdc.datasets.detection.limits import COCO_MAX_DETS, detector_limits
from mmrbdc.engine.evaluation.coco_metric import CocoMetric
from mmrbdc.registry import METRICS

_STOCK = ("CocoMetric", "mmdet.CocoMetric", StockCocoMetric)
_OURS = "mmrbdc.CocoMetric"


def use_one_limit(cfg: Config, *splits: str, max_dets: int | None = None) -> list[str]:
    """Let MMDetection's ``CocoMetric`` give way to ours.

    Only the stock class is replaced, in ``{split}_evaluator`` of ``cfg``, which is changed. A class
    of the user's own stays.

    Args:
        cfg: a config with evaluators.
        splits: ``'val'``, ``'test'``.
        max_dets: detections an image and class that AP counts; None leaves what the config says.

    Returns:
        What to log.

    Raises:
        ValueError: ``max_dets`` is asked for and no evaluator takes it; a class that inherits the
            stock one's scoring has ``proposal_nums`` by which its mAP would be -1.
    """
    lines: list[str] = []
    replaced: list[str] = []
    taken = False
    for split in splits:
        for key, evaluator in find_evaluators(cfg, split):
            if evaluator.get("type") in _STOCK:
                evaluator["type"] = _OURS
                replaced.append(key)
            kind = _class_of(evaluator)
            if kind is not None and issubclass(kind, CocoMetric):
                if max_dets is not None:
                    evaluator["max_dets"], taken = max_dets, True
            elif kind is not None and issubclass(kind, StockCocoMetric):
                lines += _looked_at(key, kind, evaluator)
    if max_dets is not None and not taken:
        raise ValueError(
            f"--max-dets {max_dets}: the config's {splits[0]}_evaluator has no CocoMetric that "
            "takes it; leave it out"
        )
    if replaced:
        lines.insert(
            0,
            f"{', '.join(replaced)}: CocoMetric is {_OURS} here, whose columns all count max_dets "
            f"(default {COCO_MAX_DETS}) detections an image and class",
        )
    return lines


def tell_detector_limits(loop: Any, cfg: Config, split: str) -> None:
    """Let the metrics of a built loop know how many objects an image the detector keeps.

    Args:
        loop: of validation or test; None where there is none.
        cfg: its config.
        split: ``'val'`` or ``'test'``.
    """
    for metric in loop.evaluator.metrics if loop is not None else ():
        if isinstance(metric, CocoMetric):
            metric.limits = detector_limits(cfg, split)


def scored_max_dets(evaluator: dict[str, Any]) -> int | None:
    """Detections an image and class that all columns of an evaluator count; None where columns
    differ or nobody knows.
    """
    kind = _class_of(evaluator)
    if kind is None or not issubclass(kind, CocoMetric):
        return None
    return evaluator.get("max_dets", COCO_MAX_DETS)


def _looked_at(key: str, kind: type, evaluator: dict[str, Any]) -> list[str]:
    """Refuse, or warn of, ``proposal_nums`` that the stock scoring answers with -1."""
    numbers = evaluator.get("proposal_nums")
    if numbers is None or (len(numbers) == 3 and COCO_MAX_DETS in numbers):
        return []
    problem = (
        f"{key}: {kind.__name__} has proposal_nums={tuple(numbers)}; MMDetection's scoring takes "
        f"three numbers, and mAP at {COCO_MAX_DETS} of them, else mAP is -1"
    )
    if kind.compute_metrics is StockCocoMetric.compute_metrics:  # type: ignore[attr-defined]
        raise ValueError(
            f"{problem}; leave proposal_nums out, or derive {kind.__name__} from {_OURS}, which "
            "has max_dets"
        )
    return [f"{problem}, unless {kind.__name__} scores in another way"]


def _class_of(evaluator: dict[str, Any]) -> type | None:
    kind = evaluator.get("type")
    if kind is None or isinstance(kind, type):
        return kind
    with METRICS.switch_scope_and_registry("mmdet") as registry:
        return registry.get(kind)
