"""One file through all that reads it: check, start, data set, pipeline, metric, comparison."""

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import METRICS as MMDET_METRICS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import mmrbdc.engine  # noqa: F401  (fills the registry)
from mmrbdc.analysis import AnalysisError
from mmrbdc.analysis.coco import match, read_annotations, read_predictions
from mmrbdc.datasets import check_config_data
from mmrbdc.datasets.coco.memory import forget
from mmrbdc.datasets.detection.dataset import judged_datasets
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.reports.inspect_coco import inspect, splits_of_config
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.launch import prepare_config, train
from mmrbdc.registry import DATASETS
from tests.datasets.coco.coco_draws import NoMeaning, boxes_found, repaired
from tests.datasets.coco.small_coco import CLASSES, HEIGHT, WIDTH, rle

CONFIG = Path(__file__).parents[3] / "configs" / "mask-rcnn_random-resnet-micro_scenes.py"
NAME = "annotations.json"
LARGEST = 10**7
"""Pixels of an image above which nothing is predicted on it."""
KINDS = ("bbox", "segm")


def config_of(folder):
    """A detector's config on a file in a folder whose ``images`` are there."""
    load = dict(type="LoadImageFromFile")
    annotations = dict(type="LoadAnnotations", with_bbox=True, with_mask=True)
    resize = dict(type="Resize", scale=(2 * WIDTH, 2 * HEIGHT), keep_ratio=True)
    dataset = dict(
        type="CocoDataset",
        ann_file=str(folder / NAME),
        data_prefix=dict(img=str(folder.parent / "images")),
        metainfo=dict(classes=CLASSES),
    )
    flip, pack = dict(type="RandomFlip", prob=0.5), dict(type="PackDetInputs")
    keys = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    train = dict(dataset, pipeline=[load, annotations, resize, flip, pack])
    test = dict(
        dataset, pipeline=[load, resize, annotations, dict(pack, meta_keys=keys)], test_mode=True
    )
    evaluator = dict(type="CocoMetric", ann_file=str(folder / NAME), metric=list(KINDS))
    return Config(
        dict(
            model=dict(roi_head=dict(bbox_head=dict(num_classes=len(CLASSES)))),
            train_dataloader=dict(dataset=dict(train, filter_cfg=dict(filter_empty_gt=True))),
            val_dataloader=dict(dataset=test),
            val_evaluator=evaluator,
        )
    )


def said(call):
    """What a stage answered: a refusal in one line, or what it found."""
    try:
        return "accepted", call()
    except (DataError, AnalysisError) as error:
        return "refused", str(error)


def check(cfg):
    """What tools/misc/check_data.py finds, but for the images' own pixels."""
    reports, errors = inspect([replace(split, images=None) for split in splits_of_config(cfg)][:1])
    for report in reports:  # below the file's name
        errors += [f"{report.split.ann_file}: {error}" for error in report.errors]
    if errors:
        raise DataError(errors[0])
    check_config_data(cfg)


def every_item(cfg, split):
    """How many items a loader's data set gives, each through its pipeline."""
    dataset = DATASETS.build(cfg[f"{split}_dataloader"].dataset)
    masks = [dataset[i]["data_samples"].gt_instances.masks.masks.sum() for i in range(len(dataset))]
    return len(masks), [item["img_id"] for item in map(dataset.get_data_info, range(len(dataset)))]


def predictions_on(content, base):
    """Made-up detections in a file's own ids, within its images."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    ids = {row["name"]: row["id"] for row in content["categories"]}
    found = []
    for one in boxes_found(base):
        height, width = sizes.get(one["image"], (0, 0))
        x, y, w, h = (int(value) for value in one["bbox"])
        w, h = min(w, width - x), min(h, height - y)
        if one["name"] in ids and w > 0 and h > 0 and width * height <= LARGEST:
            found.append(
                dict(
                    image_id=one["image"],
                    category_id=ids[one["name"]],
                    bbox=[x, y, w, h],
                    score=one["score"],
                    segmentation=rle([x, y, w, h], size=(height, width)),
                )
            )
    return found


def by_metric(cfg, content, found):
    """mAP of boxes and of masks, as the evaluator of a test run says."""
    kind = dict(cfg.val_evaluator, type="mmrbdc.CocoMetric")  # as the start of a test puts it
    metric = MMDET_METRICS.build(kind)
    metric.dataset_meta = dict(classes=CLASSES)
    label = {row["id"]: CLASSES.index(row["name"]) for row in content["categories"]
             if row["name"] in CLASSES}  # fmt: skip
    for image in content["images"]:
        own = [one for one in found if one["image_id"] == image["id"]]
        boxes = torch.tensor([one["bbox"] for one in own], dtype=torch.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        instances = InstanceData(
            bboxes=boxes,
            scores=torch.tensor([one["score"] for one in own], dtype=torch.float64),
            labels=torch.tensor([label[one["category_id"]] for one in own], dtype=torch.long),
        )
        sample = dict(
            img_id=image["id"],
            ori_shape=(image["height"], image["width"]),
            pred_instances=dict(instances.items(), masks=[one["segmentation"] for one in own]),
        )
        metric.process({}, [sample])
    with redirect_stdout(io.StringIO()):
        scores = metric.evaluate(size=len(content["images"]))
    return {kind: scores[f"coco/{kind}_mAP"] for kind in KINDS}


def by_comparison(folder, found):
    """What tools/compare.py computes from the same detections."""
    annotations = read_annotations(folder / NAME, classes=CLASSES, masks=True)
    scores = {}
    for kind in KINDS:
        own = [{k: v for k, v in one.items() if k != "bbox" or kind == "bbox"} for one in found]
        (folder / f"{kind}.json").write_text(json.dumps(own))
        predictions = read_predictions(folder / f"{kind}.json", annotations, kind)
        scores[kind] = match(annotations, predictions, kind).scores()["mAP"]
    return scores


def by_pycocotools(content, found, kinds=KINDS):
    """What pycocotools says of a repaired copy."""
    scores = {}
    with redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        for kind in kinds:
            own = [{k: v for k, v in one.items() if k != "bbox" or kind == "bbox"} for one in found]
            evaluation = COCOeval(truth, truth.loadRes(own), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            scores[kind] = float(evaluation.stats[0])
    return scores


def pass_through(folder, drawn):
    """What each stage says of a drawn file; to be called in a process of its own."""
    folder = Path(folder)
    (folder / NAME).write_bytes(drawn.data)
    stages = {}
    with DefaultScope.overwrite_default_scope("mmdet"):
        stages["check"] = said(lambda: check(config_of(folder)))
        forget()  # check-data is a process of its own; a run keeps what its start has judged
        stages["start"] = said(lambda: check_config_data(config_of(folder)))
        cfg = config_of(folder)
        judged_datasets(cfg)
        for split in ("train", "val"):
            stages[split] = said(lambda split=split: every_item(cfg, split))
        try:
            content = repaired(drawn.data)
        except NoMeaning:
            stages["meaning"] = ("none", None)
            return stages
        found = predictions_on(content, drawn.base)
        if stages["start"][0] == "accepted" and found:
            stages["test"] = said(lambda: by_metric(cfg, content, found))
            stages["compare"] = said(lambda: by_comparison(folder, found))
            stages["pycocotools"] = said(lambda: by_pycocotools(content, found))
    return stages


def trained(folder, drawn):
    """Train a small detector on a drawn file; mAP that it says, and pycocotools' of its boxes."""
    folder = Path(folder)
    (folder / NAME).write_bytes(drawn.data)
    data = config_of(folder)
    cfg = load_config(str(CONFIG))
    for split in ("train", "val"):
        loader = cfg[f"{split}_dataloader"]
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset = data[f"{split}_dataloader"].dataset
    cfg.val_evaluator.update(ann_file=str(folder / NAME), outfile_prefix=str(folder / "found"))
    cfg.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1, val_interval=1)
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    cfg.param_scheduler = []
    cfg.model.test_cfg.rcnn.score_thr = 0.0
    for head in ("bbox_head", "mask_head"):
        cfg.model.roi_head[head].num_classes = len(CLASSES)
    train(prepare_config(cfg, work_dir=str(folder / "run")))
    lines = next((folder / "run").glob("*/vis_data/scalars.json")).read_text().splitlines()
    told = {kind: json.loads(lines[-1])[f"coco/{kind}_mAP"] for kind in KINDS}
    expected = {}
    for kind in KINDS:
        found = json.loads((folder / f"found.{kind}.json").read_text())
        expected |= by_pycocotools(repaired(drawn.data), found, [kind])
    return told, expected


def write_images(folder):
    """The images that ``small`` names."""
    import cv2

    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(6):
        pixels = draw.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
