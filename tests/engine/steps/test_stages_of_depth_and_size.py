"""A protocol whose narrow stages are shallower and see smaller images, from end to end."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner

from mmrbdc.families import FamilyError
from mmrbdc.growth import GrowthError, deepen, grow, resize_positions
from mmrbdc.models.siblings import Siblings
from mmrbdc.weights import read_checkpoint, save_member
from tests.engine.tiny_runs import (
    differing,
    grown,
    grown_file,
    load_json,
    stage_run,
    staged,
    stages_of,
    train_protocol,
)

pytestmark = pytest.mark.numeric

STAGES = [
    dict(members=4, width="1/4", depth="1/2", img_size=8, iters=2),
    dict(members=2, width="1/2", img_size=8, iters=2),
    dict(members=1, width=1, iters=2),
]


def protocol(images, work_dir, operator="adjacent", family="deit"):
    cfg = staged(images, work_dir, family, stages=STAGES)
    cfg.protocol.depth_operator = operator
    if family == "resnet":
        cfg.stages[0].pop("depth")
    return cfg


@pytest.fixture(scope="module")
def done(images, tmp_path_factory):
    cfg = protocol(images, tmp_path_factory.mktemp("done") / "tiny")
    train_protocol(cfg)
    return cfg


def test_every_stage_is_what_it_was_to_be(done):
    files = [setup.member(0) for setup in stages_of(done)[1]]
    found = [read_checkpoint(path).meta["architecture"] for path in files]
    assert [arch["depth"] for arch in found] == [1, 2, 2]
    assert [arch["img_size"] for arch in found] == [[8, 8], [8, 8], [16, 16]]
    plan = load_json(Path(done.work_dir) / "plan.json")
    assert plan["depth_operator"] == "adjacent"
    assert [row["depth"] for row in plan["stages"]] == ["1/2", "1", "1"]
    assert [row["img_size"] for row in plan["stages"]] == [[8, 8], [8, 8], [16, 16]]


def test_the_ledger_is_the_plan(done):
    folder = Path(done.work_dir)
    plan, ledger = load_json(folder / "plan.json"), load_json(folder / "ledger.json")
    assert ledger["total_flops"] == pytest.approx(plan["total_flops"], rel=0.005)


def test_parents_score_at_a_junction_what_they_scored_in_their_stage(done):
    """At the size of their own images; the last stage's are larger than its parents'."""
    _, setups = stages_of(done)
    for before, stage in pairwise(setups):
        children = load_json(stage.folder / "junction.json")["children"]
        scores = [top1 for child in children for top1 in child["parents"]]
        files = [read_checkpoint(before.member(i)) for i in before.members]
        expected = [file.meta["accuracy"]["val/top1"] for file in files]
        assert scores == pytest.approx(expected, abs=1e-3)


def test_twin_parents_scored_on_the_childs_images_answer_otherwise(done):
    """What the check above would see if junctions scored everything at one size."""
    run, wide = stage_run(done, stage=1), stage_run(done, stage=2)
    parents = Siblings(run.model.member, seeds=[0, 1])
    _, setups = stages_of(done)
    for i, member in enumerate(parents.members):
        member.load_state_dict(read_checkpoint(setups[1].member(i)).state_dict)
    parents.eval()
    logits = []
    for config in (run, wide):
        (batch, *_) = Runner.build_dataloader(config.val_dataloader, seed=0)
        with torch.no_grad():
            samples = parents.val_step(batch)
        logits.append(torch.stack([sample.pred_score for sample in samples]))
    assert not torch.allclose(*logits, atol=1e-3)


def test_a_stages_record_says_how_its_parents_were_changed(done):
    for index in range(2):
        child = load_json(Path(done.work_dir) / f"stage1_2x8/grown/{index}/growth.json")
        assert child["growth"]["depth_operator"] == "adjacent"
        assert child["growth"]["resize_positions"] is True


class LowParents:
    """Two files of half width, half depth and half the image size; the child that they grow into.

    The child has 4 layers and 16 px, a grid of 2 x 2.
    """

    def __init__(self, images, folder):
        self.cfg = staged(images, folder)
        self.cfg.model.backbone.arch.num_layers = 4
        narrow, self.wide = (setup.architecture for setup in stages_of(self.cfg)[1])
        shallow = narrow.at_depth(Fraction(1, 2))
        self.low = shallow.at_image_size(8)
        self.layouts = [one.layout() for one in (self.low, shallow, narrow)]
        self.states, self.paths = [], []
        for seed in (1, 2):
            draw = torch.Generator().manual_seed(seed)
            layout = self.layouts[0]
            state = {
                name: torch.randn(layout.shape(name), generator=draw) for name in layout.entries
            }
            self.states.append(state)
            self.paths.append(str(folder / f"{seed}.pth"))
            meta = dict(family="deit", architecture=self.low.to_dict(), weights="raw")
            save_member(self.paths[-1], state, meta)

    def by_hand(self, operator):
        low, shallow, narrow = self.layouts
        parents = [
            deepen(resize_positions(state, low, (1, 1), (2, 2)), shallow, narrow, operator)
            for state in self.states
        ]
        return grow(parents, self.wide.layout()).state_dict

    def grow(self, paths=None, **how):
        return grown(paths or self.paths, self.wide, **how).result.state_dict


@pytest.fixture(scope="module")
def parents(images, tmp_path_factory):
    return LowParents(images, tmp_path_factory.mktemp("low"))


@pytest.mark.parametrize("operator", ["stack", "adjacent"])
def test_a_child_begins_resized_then_deepened_then_coupled(parents, tmp_path, operator):
    how = dict(depth_operator=operator, resize_positions=True)
    init = grown_file(tmp_path, parents.paths, parents.wide, **how)
    model = MODELS.build(stage_run(parents.cfg, stage=1, grown=[init]).model)
    model.init_weights()
    state = model.member_state_dict(0)
    assert not differing(state, parents.by_hand(operator))
    other = "adjacent" if operator == "stack" else "stack"
    wrong = differing(state, parents.by_hand(other))
    assert wrong and all("layers.1." in name or "layers.2." in name for name in wrong)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(), "depth is 2 instead of 4; img_size is .*--depth-operator.*--resize-positions"),
        (dict(depth_operator="stack"), "img_size is .*--resize-positions"),
        (dict(resize_positions=True), "depth is 2 instead of 4.*--depth-operator"),
    ],
)
def test_nothing_is_changed_unasked(parents, options, words):
    with pytest.raises(FamilyError, match=words):
        parents.grow(**options)


def test_bare_files_say_depth_and_grid_by_their_tensors(parents, tmp_path):
    bare = [str(tmp_path / f"{i}.pth") for i in range(2)]
    for state, path in zip(parents.states, bare, strict=True):
        torch.save(state, path)
    child = parents.grow(bare, depth_operator="stack", resize_positions=True)
    assert not differing(child, parents.by_hand("stack"))
    with pytest.raises(GrowthError, match="no tensor of block 2.*--depth-operator"):
        parents.grow(bare, resize_positions=True)
    with pytest.raises(GrowthError, match="the number of tokens .*--resize-positions"):
        parents.grow(bare, depth_operator="stack")


def test_a_file_that_lies_about_its_grid(parents, tmp_path):
    path = tmp_path / "liar.pth"
    meta = dict(family="deit", architecture=parents.low.at_image_size(24).to_dict())
    save_member(path, parents.states[0], meta)
    files = [str(path), parents.paths[1]]
    with pytest.raises(GrowthError, match=r"liar\.pth: 'backbone.pos_embed' is \(1, 2, 8\)"):
        parents.grow(files, depth_operator="stack", resize_positions=True)


def test_a_resnet_trains_on_smaller_images_first(images, tmp_path):
    cfg = protocol(images, tmp_path / "tiny", family="resnet")
    cfg.stages = cfg.stages[1:]
    train_protocol(cfg)
    plan = load_json(tmp_path / "tiny" / "plan.json")
    low, high = plan["stages"]
    assert (low["img_size"], high["img_size"]) == ([8, 8], [16, 16])
    junction = load_json(tmp_path / "tiny" / high["name"] / "junction.json")
    assert len(junction["children"]) == 1
