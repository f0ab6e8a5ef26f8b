"""A detector that is stopped anywhere goes on at the next iteration and ends as an unbroken one."""

import copy
import os
import shutil
import signal

import pytest

from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.engine import launch
from mmrbdc.engine.hooks.preemption import PreemptionHook
from mmrbdc.engine.launch import train
from mmrbdc.engine.process.signals import EXIT_PREEMPTED, Preempted
from mmrbdc.weights import read_checkpoint
from tests.engine.plain_detectors import config as detector
from tests.engine.tiny_runs import differing

EPOCHS, ITERS = 2, 3

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


def sigterm(monkeypatch, at, validating=False):
    """Send SIGTERM in the middle of an iteration, counted from 1, or of the validation behind."""

    class SigtermAt(PreemptionHook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter + 1 == at and not validating:
                os.kill(os.getpid(), signal.SIGTERM)

        def before_val(self, runner):
            if runner.iter == at and validating:
                os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(launch, "PreemptionHook", SigtermAt)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Scenes, of which the pipeline draws sizes, and an unbroken run of each kind of loader."""
    root = tmp_path_factory.mktemp("preempted")
    make_scenes(root / "data" / "digit_scenes", counts=dict(train=2 * ITERS, val=2, test=1))
    return root


def config(folder, workers=1, **options):
    """A detector of two epochs of three iterations; sizes and flips are drawn by data workers that
    live from epoch to epoch, images of one aspect ratio are batched, weights are averaged.
    """
    cfg = detector(
        folder,
        **{
            "train_cfg.max_epochs": EPOCHS,
            "train_cfg.val_interval": 1,
            "train_dataloader.dataset.pipeline.2.type": "RandomResize",
            "train_dataloader.dataset.pipeline.2.scale": [(96, 96), (160, 160)],
            "train_dataloader.num_workers": workers,
            "train_dataloader.persistent_workers": workers > 0,
            "model.data_preprocessor.pad_size_divisor": 32,
            **options,
        },
    )
    cfg.train_dataloader.batch_sampler = dict(type="AspectRatioBatchSampler")
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type="EMAHook", momentum=0.3)]
    cfg.experiment_name = str(folder)
    return cfg


def end(folder):
    """Weights, raw and averaged."""
    path = folder / f"epoch_{EPOCHS}.pth"
    kinds = {weights: read_checkpoint(path, weights=weights) for weights in ("raw", "ema")}
    return {f"{kind} {n}": v for kind, file in kinds.items() for n, v in file.state_dict.items()}


@pytest.fixture(scope="module")
def unbroken(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        train(config(place / "unbroken"))
    return end(place / "unbroken")


@pytest.mark.parametrize(
    "at, validating, left, workers",
    [
        (2, False, "epoch_0_iter_2.pth", 1),
        (3, True, "epoch_1.pth", 1),
        (5, False, "epoch_1_iter_2.pth", 0),
    ],
)
def test_it_ends_the_same(place, unbroken, monkeypatch, at, validating, left, workers):
    monkeypatch.chdir(place)
    folder = place / f"stopped_{at}"
    cfg = config(folder, workers)
    again = copy.deepcopy(cfg)
    with monkeypatch.context() as patch, pytest.raises(Preempted) as stopped:
        sigterm(patch, at, validating)
        train(cfg)
    assert stopped.value.code == EXIT_PREEMPTED and (folder / left).is_file()
    unfinished = folder.with_name(f"{folder.name}_resumed")
    shutil.copytree(folder, unfinished)
    again.work_dir, again.experiment_name, again.resume = str(unfinished), str(unfinished), True
    train(again)
    assert differing(end(unfinished), unbroken) == []
    assert (unfinished / "cost.json").is_file() and (unfinished / "val.json").is_file()


def test_twin_another_seed_ends_elsewhere(place, unbroken, monkeypatch):
    monkeypatch.chdir(place)
    cfg = config(place / "other", **{"randomness.seed": 1})
    train(cfg)
    assert differing(end(place / "other"), unbroken)


def test_stock_checkpoints_become_ours_and_all_are_kept(place, monkeypatch):
    """As anybody else's config has them; a run that counts iterations is stopped and goes on."""
    monkeypatch.chdir(place)

    def by_iterations(folder, **changes):
        cfg = config(folder)
        cfg.train_cfg = dict(type="IterBasedTrainLoop", max_iters=6, val_interval=6)
        cfg.train_dataloader.sampler = dict(type="InfiniteSampler")
        cfg.default_hooks.checkpoint = dict(type="CheckpointHook", by_epoch=False, interval=2)
        cfg.default_hooks.logger = dict(type="LoggerHook", interval=2)
        cfg.log_processor = dict(by_epoch=False)
        cfg.param_scheduler = None
        cfg.merge_from_dict(changes)
        return cfg

    train(by_iterations(place / "iterations"))
    expected = read_checkpoint(place / "iterations" / "iter_6.pth", weights="raw").state_dict
    names = {path.name for path in (place / "iterations").glob("*.pth")}
    assert names == {"iter_2.pth", "iter_4.pth", "iter_6.pth"}
    with monkeypatch.context() as patch, pytest.raises(Preempted):
        sigterm(patch, at=3)
        train(by_iterations(place / "iterations_stopped"))
    folder = place / "iterations_resumed"
    shutil.copytree(place / "iterations_stopped", folder)
    assert (folder / "iter_3.pth").is_file()
    train(by_iterations(folder, resume=True))
    found = read_checkpoint(folder / "iter_6.pth", weights="raw").state_dict
    assert differing(found, expected) == []
