"""Protocols of seconds: models of a few thousand parameters on a few images of random pixels."""

import copy
import itertools
import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils._pytree import tree_map_only

from mmrbdc.engine.configs.run_config import run_config
from mmrbdc.engine.junctions.grow_child import Growth, grow_child, identify
from mmrbdc.engine.stages.stage_setup import plan_on_data, set_up_stages
from mmrbdc.methods import parse_protocol
from mmrbdc.registry import RUNNERS

CLASSES = 3
BATCH = 8
ITERS_PER_EPOCH = 3
"""Of the 20 training images; the last batch of an epoch has 4."""

MODELS = {
    "deit": dict(
        type="ImageClassifier",
        backbone=dict(
            type="VisionTransformer",
            arch=dict(embed_dims=16, num_layers=2, num_heads=4, feedforward_channels=32),
            img_size=16,
            patch_size=8,
            drop_path_rate=0.3,
        ),
        head=dict(
            type="VisionTransformerClsHead",
            num_classes=CLASSES,
            in_channels=16,
            loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original"),
        ),
    ),
    "resnet": dict(
        type="ImageClassifier",
        backbone=dict(
            type="ResNet",
            depth=18,
            base_channels=8,
            stem_channels=8,
            out_indices=(3,),
            drop_path_rate=0.3,
        ),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(
            type="LinearClsHead",
            num_classes=CLASSES,
            in_channels=64,
            loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original"),
        ),
    ),
}
MIXED = dict(augments=[dict(type="Mixup", alpha=0.8), dict(type="CutMix", alpha=1.0)])
"""Every batch is mixed by one of the two."""

ADAMW = dict(
    optimizer=dict(type="AdamW", lr=1e-2, weight_decay=0.05),
    clip_grad=dict(max_norm=0.5),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={".cls_token": dict(decay_mult=0.0), ".pos_embed": dict(decay_mult=0.0)},
    ),
)

_numbers = itertools.count()
_stages = {}


def write_images(root, seed=0, size=16, **splits):
    """Write an ImageFolder a split, ``split=number of images``; a class is dim in one colour."""
    draw = np.random.default_rng(seed)
    for split, count in splits.items():
        for number in range(count):
            label = number % CLASSES
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True, exist_ok=True)
            image = draw.integers(0, 256, (size, size, 3), dtype=np.uint8)
            image[..., label] //= 2
            cv2.imwrite(str(folder / f"{number:03}.png"), image)


def staged(images, work_dir, family="deit", **changes):
    """Make a protocol of two half-width members and their child; ``changes`` are top-level keys."""

    def loader(split, pipeline, shuffle):
        return dict(
            batch_size=BATCH,
            num_workers=0,
            dataset=dict(
                type="CustomDataset",
                data_root=str(images),
                data_prefix=split,
                pipeline=pipeline,
                serialize_data=False,  # which collects garbage, for half a second
            ),
            sampler=dict(type="DefaultSampler", shuffle=shuffle),
        )

    plain = [dict(type="LoadImageFromFile"), dict(type="PackInputs")]
    augmented = [
        dict(type="LoadImageFromFile"),
        dict(type="RandomResizedCrop", scale=16),
        dict(type="RandomFlip", prob=0.5),
        dict(type="PackInputs"),
    ]
    settings = dict(
        runner_type="mmrbdc.StagedRunner",
        default_scope="mmpretrain",
        custom_imports=dict(
            imports=["mmrbdc.datasets", "mmrbdc.engine", "mmrbdc.models"],
            allow_failed_imports=False,
        ),
        model=dict(copy.deepcopy(MODELS[family]), train_cfg=MIXED),
        data_preprocessor=dict(num_classes=CLASSES, mean=[127.5] * 3, std=[50.0] * 3, to_rgb=True),
        train_dataloader=loader("train", augmented, True),
        val_dataloader=loader("val", plain, False),
        test_dataloader=loader("test", plain, False),
        val_evaluator=dict(type="Accuracy", topk=(1,)),
        test_evaluator=dict(type="Accuracy", topk=(1,)),
        optim_wrapper=ADAMW,
        param_scheduler=[
            dict(type="LinearLR", start_factor=1e-2, begin=0, end=1),
            dict(type="CosineAnnealingLR", eta_min=1e-4, begin=1, end=10),
        ],
        train_cfg=dict(by_epoch=True, max_epochs=10, val_interval=1),
        val_cfg=dict(),
        test_cfg=dict(),
        default_hooks=dict(
            timer=dict(type="IterTimerHook"),
            logger=dict(type="LoggerHook", interval=100),
            param_scheduler=dict(type="ParamSchedulerHook"),
            checkpoint=dict(type="mmrbdc.CheckpointHook", interval=1),
            sampler_seed=dict(type="DistSamplerSeedHook"),
        ),
        randomness=dict(seed=5),
        log_level="WARNING",
        protocol=dict(method="rbdc", family=family, reference_epochs=10),
        stages=[
            dict(members=2, width="1/2", epochs=2),
            dict(members=1, width=1, epochs=4 / 3),
        ],
        work_dir=str(work_dir),
    )
    return Config({**copy.deepcopy(settings), **copy.deepcopy(changes)})


def one_stage(images, work_dir, family="deit", members=1, overrides=None, **changes):
    """Make a protocol of which only the first stage matters: ``members`` models of equal width.

    Args:
        overrides: of the stage, its length (``epochs`` or ``iters``) included.
    """
    first = dict(members=members, width=f"1/{members}", **(overrides or {}))
    if members == 1:
        protocol = dict(method="scratch", family=family, reference_epochs=10)
        return staged(images, work_dir, family, protocol=protocol, stages=[first], **changes)
    stages = [first, dict(members=1, width=1, epochs=1)]
    return staged(images, work_dir, family, stages=stages, **changes)


def stages_of(cfg):
    """The stages of a protocol and its plan, without a runner."""
    plan = plan_on_data(cfg, parse_protocol(cfg, name="tiny"))
    return plan, set_up_stages(cfg, plan, cfg.randomness.seed, Path(cfg.work_dir))


def stage_run(cfg, indices=None, stage=0, grown=None):
    """The config of one stage's run by itself, without the protocol's own hooks."""
    key = json.dumps(cfg.to_dict(), default=str)
    if key not in _stages:  # counting FLOPs takes as long as a short run
        _stages[key] = stages_of(cfg)
    plan, setups = _stages[key]
    setup = setups[stage]
    indices = setup.members if indices is None else list(indices)
    run = run_config(
        setup.config,
        stage_index=stage,
        row=setup.row,
        iters_per_epoch=plan.feed.iters_per_epoch,
        warmup=None,
        seed=cfg.randomness.seed,
        indices=indices,
        grown=grown or [None] * len(indices),
    )
    run.work_dir = str(Path(cfg.work_dir) / f"run{next(_numbers)}")
    run.experiment_name = f"tiny{next(_numbers)}"  # MMEngine's keeps seconds apart, no less
    return run


def grown(paths, child, **how):
    """Files grown into a child of an architecture."""
    return grow_child(child, [identify(path) for path in paths], Growth(**how))


def grown_file(folder, paths, child, **how):
    """The initialiser of a child, grown into a file of its own in a folder."""
    path = Path(folder) / f"grown{len(list(Path(folder).glob('grown*')))}.pth"
    grown(paths, child, **how).save(path)
    return dict(type="mmrbdc.Grown", file=str(path))


def train(run, watcher=None, dtype=torch.float32):
    """Run a stage's config and return MMEngine's runner; see ``Watch``.

    In float64 a run's rounding is far below what any option of it may change.
    """
    runner = Runner.from_cfg(run)
    if dtype != torch.float32:
        runner.model.to(dtype)
        runner.model.register_forward_pre_hook(partial(_cast, dtype), with_kwargs=True)
    if watcher is not None:
        runner.register_hook(Watch(watcher), priority="LOWEST")
    runner.train()
    return runner


def _cast(dtype, module, args, kwargs):
    """Images in another dtype, which the data preprocessor makes float32."""
    return tree_map_only(torch.Tensor, lambda value: value.to(dtype), (args, kwargs))


def train_protocol(cfg, **settings):
    """Run a protocol and return the path of its final model."""
    cfg = copy.deepcopy(cfg)
    for name, value in settings.items():
        cfg[name] = value
    return RUNNERS.build(cfg).train()


def differing(state, other):
    """Names of the tensors that are not equal bit for bit."""
    assert state.keys() == other.keys()
    return [name for name, value in state.items() if not torch.equal(value, other[name])]


def load_json(path):
    return json.loads(path.read_text())


class Watch(Hook):
    """Call ``watcher(point, runner)`` before training, after iterations, epochs and validations."""

    def __init__(self, watcher):
        self.watcher = watcher

    def before_train(self, runner):
        self.watcher("before_train", runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.watcher("iter", runner)

    def after_train_epoch(self, runner):
        self.watcher("epoch", runner)

    def after_val_epoch(self, runner, metrics=None):
        self.watcher("val", runner)
