"""Runs of seconds of a detector: on scenes of a few digits."""

from pathlib import Path

from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.launch import prepare_config

ROOT = Path(__file__).parents[2]

NAME = "mask-rcnn_random-resnet-micro_scenes"


def config(work_dir, *, resume=False, **options):
    loaders = {
        f"{split}_dataloader.{key}": value
        for split in ("train", "val", "test")
        for key, value in (("num_workers", 0), ("persistent_workers", False), ("batch_size", 2))
    }
    few = {
        "model.test_cfg.rpn.max_per_img": 20,
        "model.train_cfg.rpn_proposal.max_per_img": 20,
        "model.test_cfg.rcnn.score_thr": 0.0,
        "model.test_cfg.rcnn.max_per_img": 8,
        "train_cfg.max_epochs": 1,
    }
    return prepare_config(
        load_config(str(ROOT / "configs" / f"{NAME}.py")),
        options={**loaders, **few, **options},
        work_dir=str(work_dir),
        resume=resume,
    )
