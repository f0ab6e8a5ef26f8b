"""What a test of a detector leaves beside its scores: predictions, and where they are from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmrbdc.datasets.configs import stated_classes
from mmrbdc.datasets.detection.limits import coco_evaluators, detector_limits
from mmrbdc.registry import DATASETS
from mmrbdc.weights.read import file_sha256

PREDICTIONS = "predictions"


def coco_evaluator(cfg: Config) -> dict[str, Any] | None:
    """The config's own test evaluator that scores by COCO's rules; None where there is none."""
    return next((evaluator for _, evaluator in coco_evaluators(cfg, "test")), None)


def keep_predictions(cfg: Config, prefix: Path) -> None:
    """Let the COCO evaluator write ``<prefix>.bbox.json``, and ``<prefix>.segm.json`` of masks."""
    evaluator = coco_evaluator(cfg)
    if evaluator is not None and not evaluator.get("outfile_prefix"):
        prefix.parent.mkdir(parents=True, exist_ok=True)
        evaluator["outfile_prefix"] = str(prefix)


def evaluation_facts(cfg: Config) -> dict[str, Any]:
    """Where the images, annotations and predictions of a finished test are, the files with hashes,
    which classes were scored, how many detections an image and class AP counted, and how many the
    detector keeps (``keeps``: key in the config -> number).

    Empty for a test without a COCO evaluator.
    """
    evaluator = coco_evaluator(cfg)
    if evaluator is None:
        return {}
    # MMDetection's, which asks for mmcv's ops; a classifier's test comes here without them.
    from mmrbdc.engine.evaluation.evaluators import scored_max_dets

    facts: dict[str, Any] = {}
    if (max_dets := scored_max_dets(evaluator)) is not None:
        facts["max_dets"] = max_dets
    limits = detector_limits(cfg, "test")
    facts["keeps"] = {key: limit.most for limit in limits for key in limit.keys}
    if evaluator.get("ann_file"):
        facts["annotations"] = _file(Path(evaluator["ann_file"]))
    dataset = cfg.test_dataloader.dataset
    prefix = dataset.get("data_prefix", {}).get("img", "")
    if classes := _classes(dataset):
        facts["classes"] = classes
    facts["images"] = str(Path(dataset.get("data_root") or "") / prefix)
    paths = {kind: Path(f"{evaluator['outfile_prefix']}.{kind}.json") for kind in ("bbox", "segm")}
    facts["predictions"] = {kind: _file(path) for kind, path in paths.items() if path.is_file()}
    return facts


def _classes(dataset: Mapping[str, Any]) -> list[str]:
    """Names of the classes of a data set's config, else of its class; empty where it has none."""
    own = stated_classes(dataset)
    with DATASETS.switch_scope_and_registry(None) as registry:
        kind = registry.get(dataset["type"])
    found = own if own is not None else getattr(kind, "METAINFO", {}).get("classes")
    return list(found) if isinstance(found, list | tuple) else []


def _file(path: Path) -> dict[str, str]:
    return {"path": str(path), "sha256": file_sha256(path)}
