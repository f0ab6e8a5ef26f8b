"""What evaluators refuse is said in one line before the first step."""

from urllib.error import URLError

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import METRICS

from mmrbdc.config_errors import ConfigError
from mmrbdc.engine.checks.metric_trial import check_metrics, scoring_errors
from mmrbdc.ops import has_ops

MASKS = dict(roi_head=dict(mask_head=dict(type="FCNMaskHead")))
BOXES = dict(roi_head=dict(bbox_head=dict(type="Shared2FCBBoxHead")))
CLASSIFIER = dict(type="ImageClassifier", head=dict(num_classes=4))


def detector(model=MASKS, **arguments):
    evaluator = dict(type="CocoMetric", ann_file="elsewhere.json", **arguments)
    return Config(dict(default_scope="mmdet", model=model, val_evaluator=evaluator))


def classifier(**evaluator):
    return Config(dict(default_scope="mmpretrain", model=CLASSIFIER, val_evaluator=evaluator))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (detector(metric="boxes"), "but got boxes"),
        (detector(metric=["bbox", "mask"]), "but got mask"),
        (detector(metric="bbox", metrics_items=["mAP"]), "metrics_items"),
        (detector(format_only=True), "outfile_prefix"),
        (detector(metric="bbox", metric_items=["AP"]), "metric_items has 'AP'"),
        (detector(metric="bbox", iou_thrs=[50, 75]), "iou_thrs=[50.0, 75.0]"),
        (detector(metric="bbox", collect_device="cuda"), "collect_device='cuda'"),
        (detector(metric="proposal", proposal_nums=[10]), "three proposal_nums, got (10,)"),
        (
            detector(metric="proposal", metric_items=["AR@50"], proposal_nums=[50, 100, 300]),
            "AR@50",
        ),
        (detector(model=BOXES, metric=["bbox", "segm"]), "predicts no masks"),
        (classifier(type="Accuracy", top_k=1), "top_k"),
        (classifier(type="SingleLabelMetric", average="weighted"), "average"),
        (classifier(type="SingleLabelMetric", items=["accuracy"]), "accuracy"),
        (classifier(type="MultiLabelMetric", average="samples"), "average"),
        (classifier(type="Accuracy", topk=1.5), "'float' object is not iterable"),
        (classifier(type="Acuracy"), "type 'Acuracy' names no metric"),
        (classifier(topk=1), "it has no type, only topk"),
    ],
)
def test_a_refusal_names_the_evaluator(config, words):
    if config.get("default_scope") == "mmdet" and not has_ops():
        pytest.skip("needs mmcv's compiled ops: make env OPS=1")
    (line,) = scoring_errors(config)
    assert line.startswith("val_evaluator") and words in line and "\n" not in line
    assert config.val_evaluator.get("ann_file") in (None, "elsewhere.json")


@pytest.mark.parametrize(
    "config",
    [
        detector(),
        detector(metric=["bbox", "segm"], classwise=True),
        detector(metric=["proposal", "bbox"], metric_items=["mAP", "AR@100"]),
        detector(metric="proposal_fast", proposal_nums=[10]),
        detector(metric="segm", iou_thrs=0.5),
        detector(model=BOXES, metric="bbox", max_dets=7, metric_items=["mAP_50"]),
        detector(model=dict(bbox_head=dict(type="RTMDetInsHead")), metric=["bbox", "segm"]),
        detector(format_only=True, outfile_prefix="no/such/folder/results"),
        classifier(type="Accuracy", topk=(1, 3)),
        classifier(type="Accuracy", thrs=[0.0, None, 0.9]),
        classifier(type="SingleLabelMetric", average=None, items=["support"]),
        classifier(type="MultiLabelMetric", topk=2),
        classifier(type="ConfusionMatrix"),
    ],
)
def test_what_scores_is_taken_and_nothing_is_logged(config, capfd):
    """The twin: arguments that a run can score with."""
    before = config.to_dict()
    assert scoring_errors(config) == []
    assert config.to_dict() == before
    assert capfd.readouterr() == ("", "")
    assert not MMLogger.get_current_instance().disabled


@METRICS.register_module()
class OfAUser:
    """A metric that is only built, since nobody knows what it scores."""

    collect_device = "cpu"

    def __init__(self, words=None):
        assert words != "bad", "bad words"

    def compute_metrics(self, results):
        raise RuntimeError("not of this world")


@METRICS.register_module()
class OfTheNetwork:
    """A metric that reads what is elsewhere, and words its errors in lines."""

    collect_device = "cpu"

    def __init__(self, error):
        raise error


@pytest.mark.parametrize(
    "error", [URLError("no such host"), OverflowError("too\n  much"), ValueError("one\n  two.")]
)
def test_whatever_a_metric_raises_is_one_line_that_names_it(error):
    (line,) = scoring_errors(Config(dict(val_evaluator=[dict(type="OfTheNetwork", error=error)])))
    assert line.startswith("val_evaluator.0: ") and "\n" not in line
    assert " ".join(str(error).split()).rstrip(".") in line


@pytest.mark.parametrize("split", ["val", "test"])
def test_metrics_of_a_user_are_built_in_lists_and_evaluators(split):
    good, bad = (dict(type="OfAUser", words=words) for words in ("good", "bad"))
    check_metrics({f"{split}_evaluator": [good, dict(type="Evaluator", metrics=[good])]}, split)
    told = rf"{split}_evaluator.1.metrics.0: OfAUser\(words='bad'\) fails: .*bad words"
    with pytest.raises(ConfigError, match=told):
        check_metrics({f"{split}_evaluator": [good, dict(metrics=[bad])]}, split)
