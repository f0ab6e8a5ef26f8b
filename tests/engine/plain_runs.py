"""Runs of seconds that are not staged: a classifier's on a few images."""

import copy
from pathlib import Path

from mmengine.config import Config

from mmrbdc.engine.launch import train
from tests.engine.tiny_runs import MODELS, staged


def plain(images, work_dir, family="resnet", **options):
    """A classifier's run of one epoch on 20 images, without a protocol."""
    cfg = staged(images, work_dir, family)
    for key in ("runner_type", "protocol", "stages"):
        cfg.pop(key)
    cfg.model = Config(dict(model=copy.deepcopy(MODELS[family]))).model
    cfg.model.head.loss = dict(type="CrossEntropyLoss")
    cfg.train_cfg.max_epochs = 1
    cfg.param_scheduler = None
    cfg.merge_from_dict(options)
    return cfg


def trained(cfg):
    """Whether a run went to its end."""
    train(cfg)
    return bool(list(Path(cfg.work_dir).glob("epoch_*.pth")))


def files(folder):
    return list(Path(folder).rglob("*.pth"))
