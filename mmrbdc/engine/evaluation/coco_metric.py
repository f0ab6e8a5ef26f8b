"""COCO's AP with one number of detections an image and class for all of its columns."""

import logging
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.datasets.api_wrappers import COCO as SnakeCaseCOCO
from mmdet.datasets.api_wrappers import COCOeval, COCOevalMP
from mmdet.evaluation import CocoMetric as StockCocoMetric
from mmengine.fileio import get_local_path, load
from mmengine.logging import MMLogger
from pycocotools.coco import COCO

from mmrbdc.datasets.coco.index import index, index_detections, quietly
from mmrbdc.datasets.detection.limits import (
    COCO_MAX_DETS,
    Limit,
    crowded,
    cut_detections,
    limit_remarks,
    what_is_left_out,
)
from mmrbdc.registry import METRICS

_STOCK_PROPOSALS = (100, 300, 1000)
_SCORED = ("bbox", "segm")
_AREAS = {"": "all", "_s": "small", "_m": "medium", "_l": "large"}
_PRECISION = re.compile(r"mAP(_50|_75|_s|_m|_l)?$")
_RECALL = re.compile(r"AR(_s|_m|_l)?@(\d+)$")
_COLUMNS = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")


@METRICS.register_module()
class CocoMetric(StockCocoMetric):
    """MMDetection's ``CocoMetric`` whose AP counts ``max_dets`` detections in every column.

    The stock metric takes ``mAP`` at 100 detections an image and class, the five others at the
    last of ``proposal_nums``, 1000, and gives ``mAP: -1`` where 100 is not among them. Here all six
    are those of pycocotools' ``COCOeval`` at ``max_dets``. Where images have more objects of a
    class than that, or detections are cut, the log says so.

    Args:
        ann_file: as in MMDetection, as all that follows but ``max_dets``.
        max_dets: detections an image and class that AP counts, those with the highest scores.
        proposal_nums: numbers of proposals for ``proposal`` and ``proposal_fast``, and of
            detections for ``AR@N`` of ``metric_items``; where AP is asked for, ``max_dets`` has to
            be among them.
        sort_categories: sort the file's categories by id.
        kwargs: other arguments of ``mmdet.CocoMetric``.

    Raises:
        ValueError: ``max_dets`` is no positive number or not among ``proposal_nums``; an unknown
            name in ``metric_items``; ``iou_thrs`` that are none;
            ``format_only`` without ``outfile_prefix``.
    """

    limits: tuple[Limit, ...] = ()
    """How many objects an image the detector can find, as far as somebody has said it."""

    metrics: list[str]
    outfile_prefix: str | None

    def __init__(
        self,
        ann_file: str | None = None,
        *,
        max_dets: int = COCO_MAX_DETS,
        proposal_nums: Sequence[int] | None = None,
        sort_categories: bool = False,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("format_only") and kwargs.get("outfile_prefix") is None:
            raise ValueError(
                "CocoMetric: format_only=True writes the detections, and outfile_prefix, which "
                "says where, is missing"
            )
        super().__init__(None, proposal_nums=proposal_nums or _STOCK_PROPOSALS, **kwargs)
        if "proposal" in self.metrics and len(self.proposal_nums) != 3:
            raise ValueError(
                f"CocoMetric: metric='proposal' needs three proposal_nums, got "
                f"{tuple(self.proposal_nums)}; 'proposal_fast' takes any number of them"
            )
        if isinstance(max_dets, bool) or not isinstance(max_dets, int) or max_dets < 1:
            raise ValueError(
                f"CocoMetric: max_dets={max_dets!r}; give the number of detections an image and "
                f"class that AP counts, COCO's is {COCO_MAX_DETS}"
            )
        self.max_dets = max_dets
        if proposal_nums and max_dets not in proposal_nums and self._scored:
            raise ValueError(
                f"CocoMetric: AP counts max_dets={max_dets} detections an image and class, and "
                f"proposal_nums={tuple(proposal_nums)} does not have that number; set "
                f"max_dets={max(proposal_nums)} to score by so many, or leave proposal_nums out"
            )
        self.iou_thrs: Any = np.atleast_1d(np.asarray(self.iou_thrs, dtype=np.float64))
        if not ((self.iou_thrs > 0) & (self.iou_thrs <= 1)).all():
            raise ValueError(
                f"CocoMetric: iou_thrs={self.iou_thrs.tolist()}; thresholds of IoU lie above 0 and "
                "up to 1"
            )
        for item in self.metric_items or ():
            self._check_item(item)
        if ann_file is not None:
            with get_local_path(ann_file, backend_args=self.backend_args) as path:
                self._coco_api = _in_snake_case(self.read(path), sort_categories)

    def read(self, path: str) -> COCO:
        """Read and judge the annotations; override it to read them in another way."""
        return index(path, masks="segm" in self.metrics, objects=not self.format_only)

    @property
    def _scored(self) -> list[str]:
        return [metric for metric in self.metrics if metric in _SCORED]

    def _check_item(self, item: str) -> None:
        recall = _RECALL.match(item)
        if recall is None and not _PRECISION.match(item):
            raise ValueError(
                f"CocoMetric: metric_items has {item!r}; known are {', '.join(_COLUMNS)}, AR@N and "
                "AR_s@N, AR_m@N, AR_l@N with N of proposal_nums"
            )
        if recall and int(recall[2]) not in self.proposal_nums:
            raise ValueError(
                f"CocoMetric: metric_items has {item!r}, and {recall[2]} is not among "
                f"proposal_nums={tuple(self.proposal_nums)}; add it there"
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Score what was kept of all images.

        Returns:
            ``bbox_mAP`` and so on, 0 to 1 with three decimals, -1 where there is nothing to find.
            They are 0 where nothing was found, and MMDetection's metric then has none.
        """
        asked, prefix = self.metrics, self.outfile_prefix
        scored = self._scored
        with tempfile.TemporaryDirectory() as folder:
            self.outfile_prefix = prefix or str(Path(folder) / "results")
            # The stock metric writes the files and scores proposals.
            self.metrics = [metric for metric in asked if metric not in _SCORED]
            try:
                found = dict(super().compute_metrics(results))
                if not self.format_only:
                    for kind in scored:
                        found |= self._scores(kind, Path(f"{self.outfile_prefix}.{kind}.json"))
                    self._tell_limits()
            finally:
                self.metrics, self.outfile_prefix = asked, prefix
        return found

    def _tell_limits(self) -> None:
        """Warn where images have more objects than the detector keeps."""
        for line in limit_remarks(self._objects(), len(self.img_ids), self.limits):
            MMLogger.get_current_instance().warning(line)

    def _scores(self, kind: str, path: Path) -> dict[str, float]:
        logger = MMLogger.get_current_instance()
        if not path.is_file():
            raise ValueError(f"CocoMetric: metric={kind!r}, but the detector predicts no masks")
        detections = load(path)
        if not detections:
            logger.warning(f"{kind}: the detector found nothing on any image: AP is 0")
        if kind == "segm":  # else the area of small, medium and large would be the box's
            for detection in detections:
                detection.pop("bbox", None)
        items = self.metric_items or _COLUMNS
        recalls = {int(match[2]) for item in items if (match := _RECALL.match(item))}
        api = self._coco_api
        with quietly():
            evaluator = (COCOevalMP if self.use_mp_eval else COCOeval)(
                api, index_detections(api, detections), kind
            )
            evaluator.params.catIds, evaluator.params.imgIds = self.cat_ids, self.img_ids
            evaluator.params.iouThrs = self.iou_thrs
            evaluator.params.maxDets = sorted({self.max_dets, *recalls})
            evaluator.evaluate()
            evaluator.accumulate()
        found = {f"{kind}_{item}": round(self._item(evaluator, item), 3) for item in items}
        told = " ".join(f"{found[f'{kind}_{item}']:.3f}" for item in items)
        logger.info(
            f"{kind} {' '.join(items)} at {self.max_dets} detections an image and class: {told}"
        )
        if self.classwise:
            found |= self._by_class(evaluator, logger)
        objects, images = self._objects(), len(self.img_ids)
        beyond = crowded(objects, self.max_dets, per_class=True)
        cut = cut_detections(detections, self.max_dets)
        if beyond or cut:
            # Cut detections alone are COCO's rule; objects that cannot be found are not expected.
            level = logging.WARNING if beyond else logging.INFO
            told = what_is_left_out(
                beyond, images, cut, len(detections), self.max_dets, self.limits
            )
            logger.log(level, f"{kind}: {told}")
        return found

    def _item(self, evaluator: Any, item: str, category: int | slice = slice(None)) -> float:
        """One figure as ``COCOeval.summarize`` takes it, -1 where nothing is defined."""
        params = evaluator.params
        recall = _RECALL.match(item)
        part = (recall[1] if recall else item.removeprefix("mAP")) or ""
        area = params.areaRngLbl.index(_AREAS.get(part, "all"))
        dets = params.maxDets.index(int(recall[2]) if recall else self.max_dets)
        if recall:
            values = evaluator.eval["recall"][:, category, area, dets]
        else:
            values = evaluator.eval["precision"]
            if part in ("_50", "_75"):
                values = values[np.isclose(params.iouThrs, float(f"0.{part[1:]}"))]
            values = values[:, :, category, area, dets]
        values = values[values > -1]
        return float(np.mean(values)) if values.size else -1.0

    def _by_class(self, evaluator: Any, logger: MMLogger) -> dict[str, float]:
        found, lines = {}, []
        for number, category in enumerate(self._coco_api.loadCats(self.cat_ids)):
            values = [self._item(evaluator, item, number) for item in _COLUMNS]
            shown = [float("nan") if value < 0 else round(value, 3) for value in values]
            found[f"{category['name']}_precision"] = shown[0]
            lines.append(f"  {category['name']}: {' '.join(f'{value:.3f}' for value in shown)}")
        logger.info("\n".join([f"{' '.join(_COLUMNS)} by class", *lines]))
        return found

    def _objects(self) -> list[dict[str, Any]]:
        ids = self._coco_api.getAnnIds(imgIds=self.img_ids, catIds=self.cat_ids)
        return self._coco_api.loadAnns(ids)


def _in_snake_case(coco: COCO, sort_categories: bool) -> SnakeCaseCOCO:
    """Return pycocotools' index as MMDetection's, which has more names for the same."""
    own = SnakeCaseCOCO()
    own.dataset = coco.dataset
    if sort_categories:
        rows = sorted(coco.dataset["categories"], key=lambda row: row["id"])
        own.dataset = {**coco.dataset, "categories": rows}
    with quietly():
        own.createIndex()
    own.img_ann_map, own.cat_img_map = own.imgToAnns, own.catToImgs
    return own
