"""What goes wrong on the way to a checkpoint: said in one line, with nothing lost."""

import os
import re
import resource
import signal
from pathlib import Path

import pytest
import torch

from mmrbdc.datasets import DataError
from mmrbdc.registry import TRANSFORMS
from tests.engine.tiny_runs import one_stage, stage_run, train, write_images


@TRANSFORMS.register_module()
class DieAtSample:
    """Kill the worker that loads an image of this name, as a full memory would."""

    def __init__(self, name):
        self.name = name

    def __call__(self, results):
        if results["img_path"].endswith(self.name):
            os.kill(os.getpid(), signal.SIGKILL)
        return results


def config(images, tmp_path, workers=1, **options):
    cfg = one_stage(images, tmp_path, overrides=dict(epochs=3), **options)
    cfg.train_dataloader.num_workers = workers
    return cfg


def error_in_a_fork(function):
    """The error of a function in a process of its own: PyTorch goes on complaining about a dead
    worker at every SIGCHLD, wherever its process then is.
    """
    receive, send = os.pipe()
    if not (child := os.fork()):
        try:
            function()
        except BaseException as error:
            os.write(send, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(send)
    os.waitpid(child, 0)
    with open(receive) as text:
        return text.read()


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_dead_worker_is_reported_as_one(images, tmp_path, split):
    cfg = config(images, tmp_path)
    loader = cfg[f"{split}_dataloader"]
    loader.num_workers = 1
    loader.dataset.pipeline.insert(1, dict(type="mmrbdc.DieAtSample", name="007.png"))
    if split == "val":
        loader.dataset.pipeline[1]["name"] = "001.png"
    message = error_in_a_fork(lambda: train(stage_run(cfg)))
    assert re.fullmatch(
        r"WorkerDied: a data worker died at iteration \d.*memory.*--resume", message
    )


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("split", ["train", "val"])
def test_an_unreadable_image_is_named(tmp_path, workers, split):
    write_images(tmp_path / "images", train=20, val=6)
    bad = tmp_path / "images" / split / "class1" / "004.png"
    bad.write_bytes(b"")
    cfg = config(tmp_path / "images", tmp_path / "run", workers)
    cfg.val_dataloader.num_workers = workers
    with pytest.raises(DataError) as found:
        train(stage_run(cfg))
    assert str(found.value).startswith(f"cannot read the image {bad}")
    assert "\n" not in str(found.value) and "Traceback" not in str(found.value)


@pytest.fixture
def small_files():
    """No file may grow beyond a size, as if the disk were full (Python ignores SIGXFSZ)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_the_checkpoints_that_are_there(images, tmp_path, small_files):
    run = stage_run(config(images, tmp_path, workers=0))

    def fill(point, runner):
        if point == "val" and runner.epoch == 1:
            small_files(20_000)

    with pytest.raises(OSError, match=r"cannot write .*epoch_2.pth.*kept is epoch_1.pth.*--resume"):
        train(run, fill)
    small_files(resource.RLIM_INFINITY)
    left = sorted(path.name for path in Path(run.work_dir).glob("*.pth*"))
    assert left == ["epoch_1.pth"] and not list(Path(run.work_dir).glob(".*.tmp"))
    torch.load(Path(run.work_dir) / "epoch_1.pth", weights_only=True)
