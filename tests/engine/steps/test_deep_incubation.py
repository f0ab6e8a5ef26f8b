"""Deep Incubation from its config to its final model: what trains, what it costs, and resuming."""

import copy
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmrbdc.engine.cost.model_cost import stage_model
from mmrbdc.engine.junctions.grow_files import grow_files
from mmrbdc.families import DeiTArchitecture
from mmrbdc.growth.operators.blocks.incubation import module_blocks
from mmrbdc.methods import get_method, parse_protocol
from mmrbdc.plan import PlanError
from mmrbdc.registry import RUNNERS
from mmrbdc.weights import read_checkpoint
from tests.engine.tiny_runs import differing, load_json, staged, stages_of, train_protocol

pytestmark = pytest.mark.numeric

STAGES = [
    dict(members=1, width=1, depth="1/2", iters=3),
    dict(members=2, width=1, depth="3/4", iters=3),
    dict(members=1, width=1, iters=3),
]


def protocol(images, work_dir, stages=None, family="deit"):
    cfg = staged(
        images,
        work_dir,
        family,
        protocol=dict(method="deep-incubation", family=family, reference_epochs=10),
        stages=copy.deepcopy(STAGES if stages is None else stages),
    )
    if family == "deit":
        cfg.model.backbone.arch.num_layers = 4
    return cfg


@pytest.fixture(scope="module")
def done(images, tmp_path_factory):
    cfg = protocol(images, tmp_path_factory.mktemp("done") / "tiny")
    train_protocol(cfg)
    return cfg


def trained(name, module):
    """Whether a hybrid of module 0 or 1, of two with two blocks each, trains a tensor."""
    if name.startswith("backbone.layers."):
        return int(name.split(".")[2]) in module_blocks(3, module, 2)
    back = name.startswith(("backbone.ln1.", "head."))
    return module == (1 if back else 0)


def test_what_belongs_to_the_meta_model_stays_bit_for_bit(done):
    setups = stages_of(done)[1]
    for module in (0, 1):
        start = read_checkpoint(setups[1].folder / f"grown/{module}/child.pth").state_dict
        end = read_checkpoint(setups[1].member(module)).state_dict
        assert set(differing(start, end)) == {name for name in start if trained(name, module)}


def test_the_target_is_assembled_of_what_the_modules_trained(done):
    setups = stages_of(done)[1]
    hybrids = [read_checkpoint(setups[1].member(i)).state_dict for i in (0, 1)]
    child = read_checkpoint(setups[2].folder / "grown/0/child.pth").state_dict
    for name, tensor in child.items():
        module, source = (1, name) if name.startswith(("backbone.ln1.", "head.")) else (0, name)
        if name.startswith("backbone.layers."):
            target = int(name.split(".")[2])
            module, place = target // 2, module_blocks(3, target // 2, 2)[target % 2]
            source = name.replace(f"layers.{target}.", f"layers.{place}.", 1)
        assert torch.equal(tensor, hybrids[module][source])
    final = read_checkpoint(setups[2].member(0))
    assert len(differing(final.state_dict, child)) == len(child)
    assert final.meta["parents"] == [read_checkpoint(setups[1].member(i)).sha256 for i in (0, 1)]


def test_junctions_score_meta_model_hybrids_and_target(done):
    setups = stages_of(done)[1]
    first, second = (load_json(s.folder / "junction.json")["children"] for s in setups[1:])
    assert [len(child["parents"]) for child in first] == [1, 1]
    assert [len(child["parents"]) for child in second] == [2]


def test_members_cost_what_they_train(done):
    plan = stages_of(done)[0]
    ledger = load_json(Path(done.work_dir) / "ledger.json")
    assert ledger["total_flops"] == plan.total_flops
    first, last = plan.rows[1].price.at(0)
    assert plan.rows[1].train_flops_per_sample > first > last  # the first's gradient goes further


@pytest.mark.parametrize(
    "embed_dims, heads, modules, meta, hybrids",
    [
        (768, 12, 4, 35593150464, [44673005568, 41183453184, 38156322816, 35130728448]),
        (384, 6, 3, 7160163840, [12576095232, 11528491008, 10712865792]),
    ],
    ids=["deit-b", "deit-s"],
)
def test_published_sizes_cost_what_was_counted(embed_dims, heads, modules, meta, hybrids):
    """Training FLOPs of an image at 224 px, of DeiT-B in 4 modules and DeiT-S in 3.

    The figures were counted by another build of these hybrids, gradient by gradient.
    """
    depth = 12 // modules + modules - 1
    method = get_method("deep-incubation")
    cfg = dict(
        protocol=dict(method=method.name, family="deit"),
        stages=[
            dict(members=1, width=1, depth=f"{modules}/12", epochs=1),
            dict(members=modules, width=1, depth=f"{depth}/12", epochs=1),
            dict(members=1, width=1, epochs=1),
        ],
    )
    stages = parse_protocol(cfg).stages
    arch = dict(num_layers=12, embed_dims=embed_dims, num_heads=heads,
                feedforward_channels=4 * embed_dims)  # fmt: skip
    model = dict(
        type="ImageClassifier",
        backbone=dict(type="VisionTransformer", arch=arch, img_size=224, patch_size=16),
        head=dict(type="VisionTransformerClsHead", num_classes=1000, in_channels=embed_dims),
    )
    target = DeiTArchitecture.from_config(model)
    small = target.at_depth(stages[0].depth).classifier_config(model)
    assert stage_model(small, (224, 224)).train_flops_per_sample == meta
    between = target.at_depth(stages[1].depth)
    hybrid = between.classifier_config(model)
    found = [
        stage_model(hybrid, (224, 224), between.layout().names_in(parts)).train_flops_per_sample
        for parts in stages[1].frozen
    ]
    assert found == hybrids


def test_apart_gives_the_same(images, tmp_path, done):
    cfg = protocol(images, tmp_path / "tiny")
    for stage, members in ((0, None), (1, [1]), (1, [0])):
        RUNNERS.build(copy.deepcopy(cfg)).train(stage, members)
    train_protocol(cfg, resume=True)
    ours, theirs = (stages_of(c)[1] for c in (cfg, done))
    for one, other in zip(ours, theirs, strict=True):
        for i in one.members:
            states = [read_checkpoint(s.member(i)).state_dict for s in (one, other)]
            assert not differing(*states)
    ledgers = [load_json(Path(c.work_dir) / "ledger.json")["total_flops"] for c in (cfg, done)]
    assert ledgers[0] == ledgers[1]


@pytest.mark.parametrize("stage", [1, 2])
def test_resumed_from_the_middle_it_ends_the_same(images, tmp_path, done, stage):
    cfg = copy.deepcopy(done)
    cfg.work_dir = str(tmp_path / "tiny")
    shutil.copytree(done.work_dir, cfg.work_dir)
    folder = stages_of(cfg)[1][stage].folder
    for path in [folder / "cost.json", *folder.glob("members/*.pth"), *folder.glob("epoch_*.pth")]:
        path.unlink()
    for path in Path(cfg.work_dir).glob("tiny.*"):
        path.unlink()
    train_protocol(cfg, resume=True)
    one, other = (read_checkpoint(Path(c.work_dir) / "tiny.pth") for c in (cfg, done))
    assert not differing(one.state_dict, other.state_dict)


def test_files_are_assembled_by_the_tool(done, tmp_path):
    setups = stages_of(done)[1]
    child = read_checkpoint(setups[2].folder / "grown/0/child.pth").state_dict
    files = [str(setups[1].member(i)) for i in (0, 1)]
    config = tmp_path / "child.py"
    Config(dict(model=done.model)).dump(str(config))
    grown = grow_files(str(config), files, operator="assembly")
    assert not differing(grown.result.state_dict, child)


@pytest.mark.parametrize(
    "changes, words",
    [
        ([{}, {}], "has three stages, the meta model, the hybrids and the target, got 2"),
        ([dict(members=2), {}, {}], r"stages\[0\] has members=2 and stages\[1\] members=2"),
        ([{}, dict(members=1), {}], r"one hybrid for each of two or more modules"),
        ([dict(width="1/2"), {}, {}], r"stages\[0\] has width=1/2, but deep-incubation grows in"),
        ([dict(depth="1/4"), {}, {}], r"stages\[1\] has depth=3/4; .* stages\[1\].depth='5/8'"),
        ([dict(depth="2/3"), {}, {}], "3 blocks, which 2 modules cannot share"),
        ([{}, dict(depth=1), {}], r"set stages\[1\].depth='3/4'"),
        ([{}, {}, dict(members=2)], "the last stage has members=2"),
    ],
)
def test_stages_that_do_not_fit(images, tmp_path, changes, words):
    stages = [dict(stage, **change) for stage, change in zip(STAGES, changes, strict=False)]
    with pytest.raises(PlanError, match=words):
        train_protocol(protocol(images, tmp_path / "tiny", stages))


def test_a_meta_model_of_the_wrong_depth(images, tmp_path):
    """The stages fit each other, but the target has 4 blocks and not 8."""
    stages = [dict(STAGES[0], depth="1/4"), dict(STAGES[1], depth="5/8"), STAGES[2]]
    with pytest.raises(ValueError, match=r"2\.5|depth 5/8"):
        train_protocol(protocol(images, tmp_path / "tiny", stages))


def test_a_resnet_is_refused(images, tmp_path):
    with pytest.raises(ValueError, match="depth growth needs blocks that are all alike"):
        train_protocol(protocol(images, tmp_path / "tiny", family="resnet"))
