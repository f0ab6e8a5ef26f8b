"""Protocols that cannot be, and data that are not there or not the head's."""

import pytest

from tests.bad_input.shipped import LOGS, RANDOM, STAGED


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stages.0.members": 3}, "stages[0] has 3 members and stages[1] has 2"),
        ({"stages.0.width": "1/3"}, "stages[0].width='1/4'"),
        ({"stages.2.members": 2}, "members=1, width=1"),
        ({"stages.0.epochs": 0}, "stages[0].epochs is 0"),
        ({"stages.1.epochs": -3}, "stages[1].epochs is -3"),
        ({"stages.1.epochs": "long"}, "the config holds 14.56 there, got 'long'"),
        ({"stages.1.epochs:": "long"}, "stages[1].epochs is 'long'"),
        ({"stages.1.epochs": None, "stages.1.iters": -5}, "stages[1].iters is -5"),
        ({"stages.0.epoch": 3}, "did you mean 'epochs'?"),
        ({"stages": "[]"}, "stages must be a list of at least one dict"),
        ({"protocol.method": "scratch"}, "'scratch' has exactly one stage"),
        ({"protocol.family": "vgg"}, "vgg"),
        ({"protocol.operator": "magic"}, "leave protocol.operator out"),
        ({"stages.0.width": "1/5"}, "1/5"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("tool", ["train", "plan"])
def test_a_protocol_that_cannot_be(mistake, tiny, tmp_path, tool, options, words):
    work_dir = ["--work-dir", tmp_path / "run"] if tool == "train" else []
    pairs = [f"{key}={value}" for key, value in options.items()]
    assert words in mistake(tool, STAGED, *work_dir, "--cfg-options", *pairs)


def test_a_missing_data_folder(train_mistake):
    message = train_mistake(train_dataloader__dataset__data_root="nowhere/digits")
    assert "there is no folder 'nowhere/digits/train'" in message
    assert "python tools/make_demo_data.py" in message


def test_an_empty_data_folder(train_mistake, tmp_path):
    (tmp_path / "digits" / "train").mkdir(parents=True)
    message = train_mistake(train_dataloader__dataset__data_root=str(tmp_path / "digits"))
    assert "has no class folders" in message


def test_classes_of_data_and_head_differ(train_mistake):
    message = train_mistake(model__head__num_classes=7)
    assert "has 10 classes" in message and "model.head.num_classes=10" in message


def test_scenes_that_are_missing(mistake, tmp_path):
    work_dir, option = tmp_path / "run", "train_dataloader.dataset.data_root=nowhere/digit_scenes"
    message = mistake("train", RANDOM, "--work-dir", work_dir, "--cfg-options", option)
    assert "nowhere/digit_scenes" in message and "python tools/make_demo_data.py" in message


def test_classes_of_scenes_and_heads_differ(mistake, tmp_path, scenes):
    work_dir, option = tmp_path / "run", "model.roi_head.mask_head.num_classes=7"
    message = mistake("train", RANDOM, "--work-dir", work_dir, "--cfg-options", option)
    assert "has 10 classes" in message and "model.roi_head.mask_head.num_classes=10" in message


@pytest.mark.parametrize(
    "option",
    [
        "optim_wrapper.optimizer.type=SGDD",
        "param_scheduler.1.type=CosineLR",
        "val_dataloader.sampler.type=Sampler1",
        "train_cfg.max_epochs=0",
        "model.backbone=None",
    ],
)
def test_what_only_building_tells_stands_alone(mistake, tmp_path, scenes, option):
    """And not below hundreds of lines of MMEngine's tables."""
    argv = ["--work-dir", tmp_path / "run", "--cfg-options", option]
    message = mistake("train", RANDOM, *argv, leaves=(*LOGS, ".json"), alone=True)
    assert option.split(".")[0].partition("=")[0] in message
