"""What is known before the first step is said there: batches, metrics, schedules."""

import copy
import json
import logging
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmrbdc.datasets import DataError
from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.engine.checks.first_step import check_first_step, check_test_loader, check_topk
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.launch import prepare_config, train
from mmrbdc.engine.launch import test as run_test
from mmrbdc.plan import PlanError
from tests.engine.plain_runs import files, plain, trained
from tests.engine.tiny_runs import staged, train_protocol

ROOT = Path(__file__).parents[3]
DETECTOR = ROOT / "configs" / "mask-rcnn_random-resnet-micro_scenes.py"


NO_STEP = [
    ({"train_dataloader.batch_size": 21, "train_dataloader.drop_last": True},
     "20 images .*a batch has 21, .*drop_last=False, or train_dataloader.batch_size=10"),
    ({"train_dataloader.batch_size": 64, "train_dataloader.drop_last": True,
      "train_dataloader.dataset.indices": 3}, "has 3 images"),
    ({"train_cfg.max_epochs": 0}, "0 iterations"),
    ({"val_dataloader.batch_size": 10, "val_dataloader.drop_last": True}, "no image would be val"),
    ({"train_dataloader.batch_size": 19}, r"20 = 1 x 19 \+ 1.* one value .*drop_last=True"),
    ({"train_dataloader.batch_size": 1}, "every batch has one image.*batch_size=2"),
    ({"train_dataloader.batch_size": 6, "train_dataloader.dataset.indices": 13},
     r"13 = 2 x 6 \+ 1.*BatchNorm 'backbone.layer"),
    ({"val_evaluator.topk": (1, 5)}, r"val_evaluator.topk=\(1, 5\) .*of 3 classes.*topk=\[1\]"),
    ({"test_evaluator.topk": 4}, "the best 4 of 3"),
    ({"model.head.topk": (1, 3, 10), "model.head.cal_acc": True}, r"head.topk=.*\[1,3\]"),
]  # fmt: skip


@pytest.mark.parametrize("options, told", NO_STEP)
def test_a_classifiers_run_says_it_before_the_first_step(images, tmp_path, options, told):
    with pytest.raises(ValueError, match=told):
        train(plain(images, tmp_path, **options))
    assert not files(tmp_path)


@pytest.mark.parametrize(
    "family, options",
    [
        ("resnet", {"train_dataloader.batch_size": 19, "train_dataloader.drop_last": True}),
        ("resnet", {"train_dataloader.batch_size": 10, "train_dataloader.drop_last": True}),
        ("resnet", {"train_dataloader.batch_size": 6, "train_dataloader.dataset.indices": 14}),
        ("resnet", {"train_dataloader.batch_size": 19, "model.backbone.norm_eval": True}),
        ("deit", {"train_dataloader.batch_size": 19}),  # LayerNorm does not mind
        ("deit", {"train_dataloader.batch_size": 1, "train_dataloader.dataset.indices": 2}),
        ("deit", {"val_evaluator.topk": (1, 3)}),
        ("deit", {"model.head.topk": (1, 10)}),  # not computed
    ],
)
def test_what_runs_is_let_run(images, tmp_path, family, options):
    """The twins of the above."""
    assert trained(plain(images, tmp_path, family, **options))


def test_a_batch_of_one_that_is_never_met_is_no_error(images, tmp_path):
    """Iterations end before the epoch does; with one more they do not."""
    cfg = plain(images, tmp_path, **{"train_dataloader.batch_size": 19})
    for iters, fails in ((1, False), (2, True)):
        cfg.train_cfg = dict(by_epoch=False, max_iters=iters)
        cfg.experiment_name = f"iters{iters}"
        runner = Runner.from_cfg(copy.deepcopy(cfg))
        if fails:
            with pytest.raises(DataError, match="one value"):
                check_first_step(runner)
        else:
            check_first_step(runner)
    cfg.train_dataloader.sampler = dict(type="InfiniteSampler")
    cfg.experiment_name = "infinite"
    check_first_step(Runner.from_cfg(cfg))


def test_larger_images_leave_more_than_one_value(images, tmp_path):
    resized = {"train_dataloader.batch_size": 19, "train_dataloader.dataset.pipeline.1.scale": 64}
    assert trained(plain(images, tmp_path, **resized))


def test_looking_changes_no_result(images, tmp_path):
    """A run that was looked at with a trial step ends with the same weights, bit for bit."""
    states = []
    for looked in (True, False):
        cfg = plain(images, tmp_path / str(looked), "resnet")
        cfg.train_dataloader.update(batch_size=19)
        cfg.train_dataloader.dataset.pipeline[1].scale = 64
        cfg.experiment_name = f"looked{looked}"
        runner = Runner.from_cfg(cfg)
        if looked:
            check_first_step(runner)
        runner.train()
        states.append(runner.model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize(
    "options, told",
    [
        ({"train_cfg.val_begin": 3}, "nothing will be validated"),
        ({"val_dataloader.batch_size": 4, "val_dataloader.drop_last": True}, "1 of 9 images"),
        ({"optim_wrapper.accumulative_counts": 7}, "the weights will change once"),
        ({"param_scheduler": dict(type="CosineAnnealingLR", T_max=30)}, "ends at 30: it is cut"),
        ({"param_scheduler": [dict(type="LinearLR", begin=0, end=500, by_epoch=False)]},
         "param_scheduler.0 (LinearLR) ends at 500: it is cut off; the run has 3 iterations"),
        ({"param_scheduler": dict(type="MultiStepLR", milestones=[1, 9])}, "9, which are never"),
        ({"param_scheduler": dict(type="LinearLR", begin=2, end=3)}, "it has no effect"),
        ({"param_scheduler": dict(type="CosineAnnealingLR", T_max=1, end=1)}, None),
    ],
)  # fmt: skip
def test_what_is_odd_but_runs_is_a_warning(images, tmp_path, options, told):
    cfg = plain(images, tmp_path, "deit")
    for key, value in options.items():
        if "." in key:
            cfg.merge_from_dict({key: value})
        else:
            cfg[key] = value
    warnings = check_first_step(Runner.from_cfg(cfg))
    if told is None:
        assert warnings == []
    else:
        assert any(told in line for line in warnings), warnings


def test_a_protocol_says_it_before_its_first_stage(images, tmp_path):
    cfg = staged(images, tmp_path, "resnet")
    for options, told in (
        ({"train_dataloader.batch_size": 19}, "one value"),
        ({"val_evaluator.topk": (1, 5)}, "of 3 classes"),
        ({"train_dataloader.batch_size": 32, "train_dataloader.drop_last": True}, "complete batch"),
        ({"val_dataloader.batch_size": 10, "val_dataloader.drop_last": True}, "no image would"),
    ):
        changed = copy.deepcopy(cfg)
        changed.merge_from_dict(options)
        with pytest.raises((DataError, PlanError, ValueError), match=told):
            train_protocol(changed)
        assert not files(tmp_path)


@pytest.fixture
def detector(tmp_path, monkeypatch):
    """A tiny detector's config on scenes, with options."""
    make_scenes(tmp_path / "data" / "digit_scenes", counts=dict(train=5, val=3, test=3))
    monkeypatch.chdir(tmp_path)

    def config(**options):
        loaders = {f"{name}_dataloader.num_workers": 0 for name in ("train", "val", "test")}
        loaders |= {f"{name}_dataloader.persistent_workers": False
                    for name in ("train", "val", "test")}  # fmt: skip
        few = {"model.test_cfg.rpn.max_per_img": 20, "model.train_cfg.rpn_proposal.max_per_img": 20}
        return prepare_config(
            load_config(str(DETECTOR)),
            options={**loaders, **few, "train_cfg.max_epochs": 1, **options},
            work_dir=str(tmp_path / "run"),
        )

    return config


DETECTOR_MISTAKES = [
    ({"train_dataloader.drop_last": True}, "5 images .*not one step"),
    ({"train_dataloader.batch_sampler": dict(type="AspectRatioBatchSampler", drop_last=True)},
     "batch_sampler.drop_last=False"),
    ({"train_dataloader.batch_size": 5,
      "train_dataloader.batch_sampler": dict(type="AspectRatioBatchSampler", drop_last=True),
      "train_dataloader.sampler": dict(type="DefaultSampler", shuffle=False)}, None),
    ({"train_dataloader.dataset.filter_cfg": dict(filter_empty_gt=True, min_size=500)},
     "no image of .* is left"),
]  # fmt: skip


@pytest.mark.parametrize("options, told", DETECTOR_MISTAKES)
def test_a_detectors_run_says_it_before_the_first_step(detector, options, told):
    """A sampler that groups images leaves a whole batch out where its length says there is one."""
    if told is None:
        file = Path("data/digit_scenes/annotations/instances_train.json")
        content = json.loads(file.read_text())
        taller = {image["id"] for image in content["images"][:2]}
        for image in content["images"][:2]:
            image["height"] = 200
        for row in content["annotations"]:
            if row["image_id"] in taller:
                x, y, width, height = row["bbox"]
                right, bottom = x + width, y + height
                row["segmentation"] = [[x, y, right, y, right, bottom, x, bottom]]
        file.write_text(json.dumps(content))
    told = told or "not one step would be taken"
    with pytest.raises(DataError, match=told):
        train(detector(**options))
    assert not files("run")


def test_a_detector_of_one_image_a_batch_trains_and_is_tested(detector, caplog):
    """Its BatchNorms see maps; and a test that leaves images out says so."""
    cfg = detector(**{"train_dataloader.batch_size": 1, "train_dataloader.dataset.indices": 2})
    assert trained(cfg)
    cfg = detector(**{"test_dataloader.batch_size": 2, "test_dataloader.drop_last": True,
                      "model.test_cfg.rcnn.score_thr": 0.0})  # fmt: skip
    runner = Runner.from_cfg(copy.deepcopy(cfg))
    assert any("1 of 3 images are not tested" in line for line in check_test_loader(runner))
    cfg.test_dataloader.update(batch_size=4)
    with caplog.at_level(logging.ERROR), pytest.raises(DataError, match="no image would be tested"):
        run_test(cfg)


def test_topk_needs_no_build():
    model = dict(head=dict(num_classes=7))
    check_topk(dict(model=model, val_evaluator=[dict(type="Accuracy", topk=(1, 7))]), "val")
    other = dict(type="RetrievalRecall", topk=(1, 50))  # ranks of images, not of classes
    check_topk(dict(model=model, test_evaluator=other), "test")
    with pytest.raises(ValueError, match=r"test_evaluator.1.topk=8 .*of 7 .*topk=\[1\]"):
        check_topk(dict(model=model, test_evaluator=[{}, dict(type="Accuracy", topk=8)]), "test")
    check_topk(dict(val_evaluator=dict(type="Accuracy", topk=(1, 5))), "val")


def test_a_protocol_has_no_detections_to_count(images, tmp_path):
    with pytest.raises(ValueError, match="--max-dets is of COCO's AP"):
        run_test(staged(images, tmp_path), max_dets=5)
