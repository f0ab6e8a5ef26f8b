"""A run that is not staged takes the unbroken run's steps when it is resumed."""

import copy
import shutil

import pytest

from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.engine.hooks.step_seeds import StepSeedsHook
from mmrbdc.engine.launch import train
from mmrbdc.engine.training import runner
from mmrbdc.weights import read_checkpoint
from tests.engine.plain_detectors import config as detector
from tests.engine.plain_runs import plain
from tests.engine.tiny_runs import differing

EPOCHS = 2

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@pytest.fixture
def without_the_hook(monkeypatch):
    for point in ("before_train_epoch", "before_train_iter"):
        monkeypatch.setattr(StepSeedsHook, point, lambda *args, **keywords: None)


def drawing(images, folder, **options):
    """A classifier of which every step draws: crops, flips, drop-path."""
    settings = {"train_cfg.max_epochs": EPOCHS, "default_hooks.checkpoint.max_keep_ckpts": -1}
    return plain(images, folder, "deit", **{**settings, **options})


def differing_when_resumed(cfg, tmp_path, epoch):
    """Tensors that are others at the end of a run that went on after ``epoch``."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    other = copy.deepcopy(cfg)
    cfg.work_dir, cfg.experiment_name = str(whole), str(whole)
    train(cfg)
    shutil.copytree(whole, broken)
    for later in range(epoch + 1, EPOCHS + 1):
        (broken / f"epoch_{later}.pth").unlink()
    other.work_dir, other.experiment_name, other.resume = str(broken), str(broken), True
    train(other)
    ends = [read_checkpoint(folder / f"epoch_{EPOCHS}.pth") for folder in (whole, broken)]
    return differing(*(end.state_dict for end in ends))


def loading(workers):
    return {
        "train_dataloader.num_workers": workers,
        "train_dataloader.persistent_workers": workers > 0,
    }


@pytest.mark.parametrize("workers", [0, 1])
def test_what_steps_and_workers_draw_is_drawn_again(images, tmp_path, workers):
    """Workers that live from epoch to epoch too: what they draw is the sample's."""
    cfg = drawing(images, tmp_path, **loading(workers))
    assert differing_when_resumed(cfg, tmp_path, epoch=1) == []


def test_twin_without_the_seeds_it_ends_elsewhere(images, tmp_path, without_the_hook):
    assert differing_when_resumed(drawing(images, tmp_path, **loading(1)), tmp_path, epoch=1)


def test_twin_where_samples_are_not_replayable_it_ends_elsewhere(images, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "replayable", lambda loader, seed: loader)
    assert differing_when_resumed(drawing(images, tmp_path, **loading(1)), tmp_path, epoch=1)


def test_a_detectors_proposals_and_boxes_are_sampled_again(tmp_path, monkeypatch):
    make_scenes(tmp_path / "data" / "digit_scenes", counts=dict(train=4, val=2, test=1))
    monkeypatch.chdir(tmp_path)
    options = {
        "train_cfg.max_epochs": EPOCHS,
        "default_hooks.checkpoint.max_keep_ckpts": -1,
        "train_dataloader.dataset.pipeline.2.type": "RandomResize",
        "train_dataloader.dataset.pipeline.2.scale": [(96, 96), (160, 160)],
        "model.data_preprocessor.pad_size_divisor": 32,
    }
    cfg = detector(tmp_path / "run", **options)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    assert differing_when_resumed(cfg, tmp_path, epoch=1) == []
