"""Smaller images by the preprocessor: the control of AutoProg whose stages a config lists, and what
sets the preprocessor apart from the pipeline.
"""

import copy
from pathlib import Path

import pytest
import torch
from mmpretrain.structures import DataSample
from torch.nn import functional

from mmrbdc.registry import MODELS, RUNNERS
from mmrbdc.weights import read_checkpoint
from tests.engine.tiny_autoprog import protocol
from tests.engine.tiny_runs import differing, load_json, staged, stages_of, train_protocol

pytestmark = pytest.mark.numeric
STAGES = ["stage0_1x16", "stage1_1x16", "stage2_1x16"]
GRID = [("1/2", 8), ("3/4", 16), ("1", 16)]
EPOCHS = 6
OTHERS = [dict(depth_operator="stack"), dict(schedule="stage"), dict(resize="pipeline")]


def manual(images, work_dir):
    """The grid without anything else that AutoProg does: no average, no eased regularisation."""
    plain = dict(mogrow="off", magnitude=1, drop_path=1, erasing=1)
    cfg = protocol(images, work_dir, method="autoprog-manual", **plain)
    cfg.protocol.reference_epochs = EPOCHS
    return cfg


def listed(images, work_dir, iters, **settings):
    """The same stages, as a config of ``progressive`` lists them."""
    stages = [
        dict(members=1, width=1, depth=depth, img_size=size, iters=length)
        for (depth, size), length in zip(GRID, iters, strict=True)
    ]
    how = dict(resize="preprocessor", depth_operator="adjacent-last", schedule="flops")
    how = dict(method="progressive", family="deit", reference_epochs=EPOCHS, **{**how, **settings})
    cfg = staged(images, work_dir, protocol=how, stages=stages)
    cfg.model.backbone.arch.num_layers = 4
    return cfg


@pytest.fixture(scope="module")
def by_grid(images, tmp_path_factory):
    cfg = manual(images, tmp_path_factory.mktemp("grid") / "tiny")
    train_protocol(cfg)
    return cfg


def read(cfg, name):
    return load_json(Path(cfg.work_dir) / name)


@pytest.fixture
def iters(by_grid):
    return [stage["iters"] for stage in read(by_grid, "plan.json")["stages"]]


def weights(cfg, name):
    return read_checkpoint(Path(cfg.work_dir) / name).state_dict


def test_progressive_is_the_grid_and_nothing_else(images, tmp_path, by_grid, iters):
    """Bit for bit in all stages, and as dear."""
    cfg = listed(images, tmp_path / "tiny", iters)
    train_protocol(cfg)
    for name in [*(f"{stage}/members/0.pth" for stage in STAGES), "tiny.pth"]:
        assert not differing(weights(cfg, name), weights(by_grid, name))
    ours, theirs = (read(one, "ledger.json") for one in (cfg, by_grid))
    assert ours["total_flops"] == theirs["total_flops"]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_it_is_not_if_it_is_told_otherwise(images, tmp_path, by_grid, iters, other):
    """Twins of the test above; two stages tell already."""
    cfg = listed(images, tmp_path / "tiny", iters, **other)
    runner = RUNNERS.build(cfg)
    for stage in (0, 1):
        runner.train(stage)
    name = f"{STAGES[1]}/members/0.pth"
    assert differing(weights(cfg, name), weights(by_grid, name))


def test_pipeline_and_preprocessor(images, tmp_path):
    """As many FLOPs; crops and a table of positions of the stage's size, or the target's."""
    rows, crops, grids = {}, {}, {}
    for resize in ("pipeline", "preprocessor"):
        plan, setups = stages_of(listed(images, tmp_path / resize, [2, 2, 2], resize=resize))
        rows[resize] = plan.rows[0]
        crops[resize] = setups[0].config.train_dataloader.dataset.pipeline[1]["scale"]
        grids[resize] = setups[0].architecture.grid
    assert crops == dict(pipeline=8, preprocessor=16)
    assert grids == dict(pipeline=(1, 1), preprocessor=(2, 2))
    one, other = rows.values()
    assert one.flops == other.flops and one.img_size == other.img_size == (8, 8)
    assert other.params - one.params == 3 * 16  # rows of the table


@pytest.mark.parametrize("training", [True, False])
def test_images_are_resized_behind_the_normalisation(training):
    """Bilinearly, and without antialiasing: the twin."""
    base = dict(type="ClsDataPreprocessor", num_classes=3, mean=[127.5] * 3, std=[50.0] * 3)
    made = dict(type="mmrbdc.SiblingsDataPreprocessor", base=base, seeds=[1])
    small, plain = (MODELS.build(dict(made, image_size=size)) for size in (8, None))
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 16, 16), generator=draw, dtype=torch.uint8)
    batch = dict(inputs=[pixels], data_samples=[DataSample().set_gt_label(1)])
    seen = [one(copy.deepcopy(batch), training=training)["inputs"] for one in (small, plain)]
    ours, whole = (one[0] if training else one for one in seen)
    how = dict(size=(8, 8), mode="bilinear", align_corners=False)
    assert torch.equal(ours, functional.interpolate(whole, **how))
    assert not torch.allclose(ours, functional.interpolate(whole, **how, antialias=True), atol=0.1)
