"""A tiny COCO set where the full-size detector configs look for it, and what fits them to it."""

import json
from pathlib import Path

from mmdet.datasets.coco import CocoDataset
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.families import architecture_from_config
from mmrbdc.weights import publish

ROOT = Path(__file__).parent.parent
SIZE = 128
"""Of the images, pixels."""


def make_coco(folder):
    """Four training and two validation images, in which the first ten of 80 classes are digits."""
    make_scenes(folder, counts=dict(train=4, val=2, test=1))
    for split in ("train", "val"):
        (folder / split).rename(folder / f"{split}2017")
        file = folder / "annotations" / f"instances_{split}.json"
        content = json.loads(file.read_text())
        names = CocoDataset.METAINFO["classes"]
        content["categories"] = [dict(id=i, name=name) for i, name in enumerate(names, start=1)]
        file.with_name(f"instances_{split}2017.json").write_text(json.dumps(content))


def tiny_options(path):
    """``--cfg-options`` for one epoch of batches of two at ``SIZE``, by a config's own pipelines.

    Every detection counts: none would pass the threshold after so few steps.
    """
    config = Config.fromfile(path)
    options = {
        "train_cfg.max_epochs": 1,
        "train_dataloader.batch_size": 2,
        "default_hooks.logger.interval": 1,
        "default_hooks.checkpoint.save_optimizer": False,
    }
    if "rpn_proposal" in config.model.train_cfg:  # a thousand proposals take most of the time
        options["model.train_cfg.rpn_proposal.max_per_img"] = 32
        options["model.test_cfg.rpn.max_per_img"] = 32
        options["model.test_cfg.rcnn.score_thr"] = 0.0
    else:
        options["model.test_cfg.score_thr"] = 0.0
    if config.model.data_preprocessor.pad_size_divisor > SIZE:
        options["model.data_preprocessor.pad_size_divisor"] = SIZE
    for split in ("train", "val", "test"):
        loader = f"{split}_dataloader"
        options |= {f"{loader}.num_workers": 0, f"{loader}.persistent_workers": False}
        for number, step in enumerate(config[loader].dataset.pipeline):
            for key in {"scale", "crop_size"} & step.keys():
                step_key = f"{loader}.dataset.pipeline.{number}.{key}"
                ranged = isinstance(step[key][0], list | tuple)
                options[step_key] = [(SIZE, SIZE)] * 2 if ranged else (SIZE, SIZE)
    return options


def as_arguments(options):
    """The options as a command line has them."""
    return [f"{key}={str(value).replace(' ', '')}" for key, value in options.items()]


def publish_random_backbone(place, init_cfg):
    """Leave random weights where a protocol would leave its model; return the file's name."""
    file = place / init_cfg.checkpoint
    if not file.exists():
        pretraining = Config.fromfile(ROOT / init_cfg.made_by)
        with DefaultScope.overwrite_default_scope("mmpretrain"):
            classifier = MODELS.build(pretraining.model)
        architecture = architecture_from_config(pretraining.model)
        meta = dict(
            name=file.stem,
            method=pretraining.protocol.method,
            family=architecture.family,
            seed=0,
            train_flops=1.0,
            architecture=architecture.to_dict(),
        )
        publish(file.with_suffix(""), classifier.state_dict(), meta)
    return file.stem
