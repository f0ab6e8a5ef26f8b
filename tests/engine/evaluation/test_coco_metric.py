"""COCO's AP with one number of detections an image and class, against pycocotools."""

import contextlib
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric as StockCocoMetric
from mmengine.config import Config
from mmengine.logging import MMLogger
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmrbdc.datasets.detection.limits import (
    COCO_MAX_DETS,
    config_limits,
    crowded,
    limit_remarks,
    what_is_left_out,
)
from mmrbdc.engine.evaluation.coco_metric import CocoMetric
from mmrbdc.engine.evaluation.evaluators import scored_max_dets, tell_detector_limits, use_one_limit
from mmrbdc.registry import METRICS

SIZE = 400
COLUMNS = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")
CLASSES = ("cell", "nucleus")


def crowd_of_boxes(counts, seed=0):
    """Annotations with ``counts[image][class]`` objects of all three sizes, some of them crowds."""
    draw = np.random.default_rng(seed)
    rows = []
    for image, classes in enumerate(counts, start=1):
        for category, count in enumerate(classes, start=1):
            for _ in range(count):
                w, h = np.exp(draw.uniform(np.log(6), np.log(150), size=2))
                x, y = draw.uniform(0, SIZE - w), draw.uniform(0, SIZE - h)
                box = [float(v) for v in (x, y, w, h)]
                crowd = int(draw.random() < 0.05)
                rows.append(dict(id=len(rows) + 1, image_id=image, category_id=category, bbox=box,
                                 area=box[2] * box[3], iscrowd=crowd))  # fmt: skip
    images = [dict(id=i, file_name=f"{i}.png", width=SIZE, height=SIZE)
              for i in range(1, len(counts) + 1)]  # fmt: skip
    categories = [dict(id=i, name=name) for i, name in enumerate(CLASSES, start=1)]
    return dict(images=images, annotations=rows, categories=categories)


def detect(data, seed=1, shift=0.05, wrong=20):
    """Samples as a detector gives them: every object, moved a little, and boxes anywhere."""
    draw = np.random.default_rng(seed)
    samples = []
    for image in data["images"]:
        own = [row for row in data["annotations"] if row["image_id"] == image["id"]]
        boxes = [np.array(row["bbox"]) * (1 + draw.normal(scale=shift, size=4)) for row in own]
        labels = [row["category_id"] - 1 for row in own]
        boxes += [draw.uniform(5, 100, size=4) for _ in range(wrong)]
        labels += draw.integers(0, len(CLASSES), size=wrong).tolist()
        corners = np.array([[x, y, x + w, y + h] for x, y, w, h in boxes]).reshape(-1, 4)
        samples.append(
            dict(
                img_id=image["id"],
                ori_shape=(SIZE, SIZE),
                pred_instances=dict(
                    bboxes=torch.tensor(corners),
                    scores=torch.tensor(draw.beta(3, 2, size=len(boxes))),
                    labels=torch.tensor(labels, dtype=torch.int64),
                ),
            )
        )
    return samples


def evaluate(metric, samples):
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, samples)
    with contextlib.redirect_stdout(io.StringIO()):
        return metric.evaluate(len(samples))


def by_pycocotools(path, results, max_dets):
    """COCOeval by itself, with ``max_dets`` for all; its own summary's mAP is fixed to 100."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        evaluator = COCOeval(truth, truth.loadRes(json.loads(results.read_text())), "bbox")
        evaluator.params.maxDets = [max_dets] * 3
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    precision = evaluator.eval["precision"][:, :, :, 0, -1]
    return [float(precision[precision > -1].mean()), *evaluator.stats[1:6].tolist()]


@pytest.fixture(scope="module")
def crowded_set(tmp_path_factory):
    path = tmp_path_factory.mktemp("coco") / "annotations.json"
    data = crowd_of_boxes([(170, 3), (20, 120), (4, 5), (0, 0)])
    path.write_text(json.dumps(data))
    return path, data, detect(data)


@pytest.mark.parametrize("max_dets", [1, 30, 100, 250])
def test_all_columns_are_pycocotools_at_one_number(crowded_set, tmp_path, max_dets):
    """At 100 the stock metric's mAP alone is (the twin): its other columns count 1000."""
    path, _, samples = crowded_set
    metric = CocoMetric(str(path), max_dets=max_dets, outfile_prefix=str(tmp_path / "p"))
    ours = evaluate(metric, samples)
    wanted = by_pycocotools(path, tmp_path / "p.bbox.json", max_dets)
    assert [ours[f"coco/bbox_{column}"] for column in COLUMNS] == [round(v, 3) for v in wanted]
    if max_dets == COCO_MAX_DETS:
        with contextlib.redirect_stdout(io.StringIO()):
            stock = evaluate(StockCocoMetric(str(path)), samples)
        assert stock["coco/bbox_mAP"] == ours["coco/bbox_mAP"]
        assert stock["coco/bbox_mAP_50"] > ours["coco/bbox_mAP_50"]


def test_what_is_no_ap_stays_as_it_was(crowded_set):
    """Proposals, recalls and classes; ``AR@N`` counts the N of its name."""
    path, _, samples = crowded_set
    with contextlib.redirect_stdout(io.StringIO()):
        stock = evaluate(
            StockCocoMetric(str(path), metric=["bbox", "proposal"], classwise=True,
                            metric_items=["AR@100", "AR@300", "AR_s@1000"]), samples,
        )  # fmt: skip
    ours = evaluate(
        CocoMetric(str(path), metric=["bbox", "proposal"], classwise=True, max_dets=1000,
                   metric_items=["AR@100", "AR@300", "AR_s@1000"]), samples,
    )  # fmt: skip
    assert ours == stock


def test_without_an_annotation_file_the_samples_are_scored(crowded_set):
    path, data, samples = crowded_set
    for image, sample in zip(data["images"], samples, strict=True):
        own = [row for row in data["annotations"] if row["image_id"] == image["id"]]
        boxes = np.array([row["bbox"] for row in own]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        sample["instances"] = [
            dict(bbox=box.tolist(), bbox_label=row["category_id"] - 1, ignore_flag=row["iscrowd"])
            for box, row in zip(boxes, own, strict=True)
        ]
    assert evaluate(CocoMetric(), samples) == evaluate(CocoMetric(str(path)), samples)


@pytest.fixture
def logged():
    """What the metric logs, level by level."""
    records = []
    logger = MMLogger.get_instance("coco-metric-test")
    MMLogger._instance_dict.move_to_end("coco-metric-test")

    class Keep:
        level = 0

        def handle(self, record):
            records.append((record.levelname, record.getMessage()))

    keep = Keep()
    logger.handlers.append(keep)
    yield records
    logger.handlers.remove(keep)


@pytest.mark.parametrize(
    "counts, max_dets, told",
    [
        ([(150, 0), (101, 3), (99, 90)], 100, "2 of 3 images have more objects of one class"),
        ([(12, 9), (1, 30)], 10, "(up to "),
        ([(60, 60), (0, 99)], 100, None),  # 120 objects, but of two classes
        ([(150, 0), (101, 3)], 200, None),
    ],
)
def test_a_limit_that_bites_is_told(tmp_path, logged, counts, max_dets, told):
    data = crowd_of_boxes(counts, seed=3)
    for row in data["annotations"]:
        row["iscrowd"] = 0
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    evaluate(CocoMetric(str(path), max_dets=max_dets), detect(data, wrong=0))
    warnings = [message for level, message in logged if level == "WARNING"]
    assert bool(warnings) == (told is not None)
    if told:
        assert told in warnings[0] and "--max-dets" in warnings[0]


def test_cut_detections_alone_are_no_warning(tmp_path, logged):
    data = crowd_of_boxes([(5, 5)])
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    evaluate(CocoMetric(str(path), max_dets=20), detect(data, wrong=70))
    assert not [message for level, message in logged if level == "WARNING"]
    assert any("detections are not counted" in message for _, message in logged)


@pytest.mark.parametrize(
    "settings, told",
    [
        (dict(proposal_nums=(1, 10, 300)), "max_dets=300"),
        (dict(proposal_nums=(500,), metric=["segm"]), "does not have that number"),
        (dict(max_dets=200, proposal_nums=(100, 300, 1000)), "max_dets=200"),
        (dict(max_dets=0), "max_dets=0"),
        (dict(max_dets=1.5), "max_dets=1.5"),
        (dict(metric_items=["mAP_60"]), "mAP_60"),
        (dict(metric_items=["AR@10"]), "AR@10"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(settings, told):
    with pytest.raises(ValueError, match=told.replace("(", r"\(")):
        CocoMetric(**settings)


def test_proposals_alone_need_no_hundred():
    assert CocoMetric(metric="proposal", proposal_nums=(1, 10, 300)).max_dets == 100


class OwnCoco(StockCocoMetric):
    """A user's own, which scores as the stock metric does."""


class OwnScores(StockCocoMetric):
    """Another, which does not."""

    def compute_metrics(self, results):
        return {"own": 1.0}


METRICS.register_module(module=OwnCoco)
METRICS.register_module(module=OwnScores)


@pytest.mark.parametrize("kind", ["CocoMetric", "mmdet.CocoMetric", StockCocoMetric])
def test_the_stock_metric_alone_gives_way(kind):
    cfg = Config(
        dict(
            val_evaluator=dict(type=kind, metric="bbox"),
            test_evaluator=[
                dict(type="mmrbdc.OwnCoco"),
                dict(type="MultiDatasetsEvaluator", metrics=[dict(type=kind)]),
            ],
        )
    )
    (line,) = use_one_limit(cfg, "val", "test")
    assert "val_evaluator, test_evaluator.1.metrics.0: " in line
    assert cfg.val_evaluator.type == cfg.test_evaluator[1].metrics[0].type == "mmrbdc.CocoMetric"
    assert cfg.test_evaluator[0].type == "mmrbdc.OwnCoco"
    assert use_one_limit(cfg, "val", "test") == []
    assert scored_max_dets(cfg.val_evaluator) == 100
    assert scored_max_dets(cfg.test_evaluator[0]) is None


def test_max_dets_reaches_the_evaluators_that_take_it():
    cfg = Config(dict(test_evaluator=dict(type="CocoMetric", max_dets=150)))
    use_one_limit(cfg, "test")
    assert scored_max_dets(cfg.test_evaluator) == 150
    use_one_limit(cfg, "test", max_dets=300)
    assert scored_max_dets(cfg.test_evaluator) == 300
    with pytest.raises(ValueError, match="--max-dets 300"):
        use_one_limit(Config(dict(test_evaluator=dict(type="VOCMetric"))), "test", max_dets=300)


@pytest.mark.parametrize("numbers", [(1, 10, 300), (100,), [300, 500, 1000]])
def test_own_classes_whose_map_would_be_minus_one(numbers):
    cfg = Config(dict(val_evaluator=dict(type="mmrbdc.OwnCoco", proposal_nums=numbers)))
    with pytest.raises(ValueError, match="mAP is -1"):
        use_one_limit(cfg, "val")
    cfg = Config(dict(val_evaluator=dict(type="mmrbdc.OwnScores", proposal_nums=numbers)))
    assert len(use_one_limit(cfg, "val")) == 1
    cfg = Config(dict(val_evaluator=dict(type="mmrbdc.OwnCoco", proposal_nums=(100, 300, 1000))))
    assert use_one_limit(cfg, "val") == []


def test_objects_beyond_a_limit_are_counted_by_image_and_class():
    rows = [dict(image_id=1, category_id=1)] * 7 + [dict(image_id=1, category_id=2)] * 4
    rows += [dict(image_id=2, category_id=2)] * 6 + [dict(image_id=3, category_id=1, iscrowd=1)] * 9
    found = crowded(rows, 5, per_class=True)
    assert (found.images, found.most, found.beyond) == (2, 7, 3)
    found = crowded(rows, 6, per_class=False)
    assert (found.images, found.most, found.beyond) == (1, 11, 5)
    assert crowded(rows, 11, per_class=False) is None


def test_the_options_that_raise_a_limit_are_named():
    cfg = dict(
        model=dict(
            type="Wrapped",
            detector=dict(
                train_cfg=dict(rpn_proposal=dict(max_per_img=20), rcnn=[dict(), dict()]),
                test_cfg=dict(rpn=dict(max_per_img=50), rcnn=dict(max_per_img=10)),
            ),
        ),
        test_evaluator=[dict(type="CocoMetric", max_dets=40)],
    )
    rows = [dict(image_id=1, category_id=1 + i % 2) for i in range(60)]
    (train,) = limit_remarks(rows, 3, config_limits(cfg, "train"))
    assert "model.detector.train_cfg.rpn_proposal.max_per_img=100" in train
    assert "1 of 3 images have more objects than the RPN keeps" in train and "up to 60" in train
    rpn, rcnn = limit_remarks(rows, 3, config_limits(cfg, "test"))  # 30 of a class are below 40
    assert "model.detector.test_cfg.rpn.max_per_img=100" in rpn
    assert "model.detector.test_cfg.rcnn.max_per_img=100" in rcnn
    (ap,) = limit_remarks([dict(r, category_id=1) for r in rows], 3, config_limits(cfg, "test"))[2:]
    assert "test_evaluator.0.max_dets=100" in ap


@pytest.mark.parametrize("objects, told", [(30, []), (45, ["rpn"]), (120, ["rpn", "rcnn"])])
def test_what_the_detector_keeps_is_told_beside_the_score(objects, told, caplog):
    """With every key that has to be raised; the AP's own limit does not hide the detector's."""
    cfg = Config(
        dict(model=dict(test_cfg=dict(rpn=dict(max_per_img=40), rcnn=dict(max_per_img=99))))
    )
    metric = CocoMetric.__new__(CocoMetric)
    metric.limits = ()
    loop = SimpleNamespace(evaluator=SimpleNamespace(metrics=[object(), metric]))
    tell_detector_limits(loop, cfg, "val")
    tell_detector_limits(None, cfg, "test")  # a run that is not validated
    rows = [dict(image_id=1, category_id=1) for _ in range(objects)]
    metric.img_ids, metric._objects = [1, 2], lambda: rows
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        metric._tell_limits()
    finally:
        logger.removeHandler(caplog.handler)
    lines = [record.getMessage() for record in caplog.records]
    room = 200 if objects > 100 else 100
    assert len(lines) == len(told)
    for line, part in zip(lines, told, strict=True):
        assert f"model.test_cfg.{part}.max_per_img={room} makes room" in line
    beyond = crowded(rows, 20, per_class=True)
    advice = what_is_left_out(beyond, 2, 0, 0, 20, metric.limits)
    asked = [part for part in ("rpn", "rcnn") if f"model.test_cfg.{part}.max_per_img=" in advice]
    assert asked == (["rpn", "rcnn"] if objects >= 30 else [])
    assert "max_per_img of model.test_cfg" in what_is_left_out(beyond, 2, 0, 0, 20)


@pytest.mark.parametrize("kinds", ["bbox", ["bbox", "segm"]])
def test_a_detector_that_finds_nothing_has_ap_0(tmp_path, kinds):
    """The stock metric (the twin) has no figure, as if nobody had tested."""
    data = crowd_of_boxes([(4, 2), (3, 1)])
    for row in data["annotations"]:
        x, y, w, h = row["bbox"]
        row |= dict(segmentation=[[x, y, x + w, y, x + w, y + h, x, y + h]], iscrowd=0)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(data))
    samples = [
        dict(
            img_id=image["id"],
            ori_shape=(SIZE, SIZE),
            pred_instances=dict(
                bboxes=torch.empty(0, 4),
                scores=torch.empty(0),
                labels=torch.empty(0, dtype=torch.int64),
                masks=torch.empty(0, SIZE, SIZE, dtype=torch.bool),
            ),
        )
        for image in data["images"]
    ]
    found = evaluate(CocoMetric(str(path), metric=kinds, classwise=True), samples)
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        assert found[f"coco/{kind}_mAP"] == found[f"coco/{kind}_mAP_50"] == 0.0
    assert set(found.values()) <= {0.0, -1.0}
    assert evaluate(StockCocoMetric(str(path), metric=kinds), samples) == {}
