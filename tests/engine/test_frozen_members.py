"""Members of a stage that differ in what they keep as it is, and so in what they cost."""

import copy
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.model import revert_sync_batchnorm

from mmrbdc.methods import METHODS, Method, register_method
from mmrbdc.models.siblings import Siblings
from mmrbdc.plan import PlanError
from mmrbdc.registry import RUNNERS
from mmrbdc.seeding import derive_seed
from mmrbdc.weights import read_checkpoint
from tests.engine.tiny_runs import MODELS, differing, load_json, staged, stages_of, train_protocol

pytestmark = pytest.mark.numeric

PARTS = {"deit": ((), ("block 0", "front")), "resnet": ((), ("block 1", "front"))}
KEPT = {
    "deit": ("backbone.layers.0", "backbone.pos_embed", "backbone.cls_token", "backbone.patch"),
    "resnet": ("backbone.layer1.1", "backbone.conv1", "backbone.bn1"),
}


class Halves(Method):
    """Two members are coupled, of which the second trains only a part of itself."""

    def operator(self, narrow, wide):
        return "block-diagonal"

    def check_junction(self, i, narrow, wide):
        pass

    def frozen(self, stages, i):
        return PARTS[self.label] if i == 0 else ()


@pytest.fixture
def halves(request):
    family = getattr(request, "param", "deit")
    register_method(Halves("halves", "the second member trains a part", label=family))
    yield family
    METHODS.pop("halves")


def protocol(images, work_dir, family="deit", **changes):
    cfg = staged(
        images,
        work_dir,
        family=family,
        protocol=dict(method="halves", family=family, reference_epochs=10),
        stages=[dict(members=2, width="1/2", iters=4), dict(members=1, width=1, iters=2)],
        **changes,
    )
    cfg.custom_hooks = [dict(type="EMAHook", momentum=0.02)]
    return cfg


def kept(name, family):
    return name.startswith(KEPT[family])


@pytest.mark.parametrize("halves", ["deit", "resnet"], indirect=True)
def test_what_is_frozen_stays_and_costs_less(images, tmp_path, halves):
    cfg = protocol(images, tmp_path / "tiny", halves)
    start = Siblings(stages_of(cfg)[1][0].config.model, seeds=seeds_of(cfg))
    start.init_weights()
    train_protocol(cfg)
    plan, setups = stages_of(cfg)
    for index in (0, 1):
        trained = read_checkpoint(setups[0].member(index))
        changed = set(differing(start.member_state_dict(index), trained.state_dict))
        same = trained.state_dict.keys() - changed
        if index:
            assert same == {name for name in trained.state_dict if kept(name, halves)}
        else:  # the twin: the same parts move where they are not frozen
            assert not [name for name in same if kept(name, halves)]
    whole, part = plan.rows[0].price.at(0)
    assert part < whole == plan.rows[0].train_flops_per_sample
    ledger = load_json(tmp_path / "tiny/ledger.json")
    assert ledger["total_flops"] == plan.total_flops
    assert ledger["stages"][0]["flops"] == (whole + part) * plan.rows[0].samples
    spent = [read_checkpoint(setups[0].member(i)).meta["train_flops"] for i in (0, 1)]
    assert spent == [whole * plan.rows[0].samples, part * plan.rows[0].samples]
    assert load_json(tmp_path / "tiny/plan.json")["stages"][0]["price"]["changes"] == [
        [0, [whole, part]]
    ]


def seeds_of(cfg):
    return [derive_seed("member", cfg.randomness.seed, 0, index) for index in (0, 1)]


def test_apart_and_resumed_give_the_same(images, tmp_path, halves):
    cfg = protocol(images, tmp_path / "tiny")
    train_protocol(cfg)
    apart = copy.deepcopy(cfg)
    apart.work_dir = str(tmp_path / "apart/tiny")
    RUNNERS.build(apart).train(0, [1])
    name = "stage0_2x8/members/1.pth"
    one, other = (read_checkpoint(Path(c.work_dir) / name) for c in (cfg, apart))
    assert not differing(one.state_dict, other.state_dict)
    assert one.meta["train_flops"] == other.meta["train_flops"]
    whole = load_json(tmp_path / "tiny/ledger.json")
    stage = tmp_path / "tiny/stage0_2x8"
    shutil.rmtree(stage / "members")
    (stage / "cost.json").unlink()
    (stage / "epoch_2.pth").unlink()
    train_protocol(cfg, resume=True)
    assert without_time(load_json(tmp_path / "tiny/ledger.json")) == without_time(whole)
    assert not differing(read_checkpoint(stage / "members/1.pth").state_dict, one.state_dict)


def without_time(ledger):
    return [{k: v for k, v in stage.items() if k != "wall_s"} for stage in ledger["stages"]]


def test_what_is_frozen_is_in_the_fingerprint(images, tmp_path, halves, monkeypatch):
    cfg = protocol(images, tmp_path / "tiny")
    hashes = [stages_of(cfg)[1][0].hash]
    monkeypatch.setitem(PARTS, "deit", ((), ("block 1",)))
    hashes.append(stages_of(cfg)[1][0].hash)
    assert len(set(hashes)) == 2


def test_a_list_for_every_member(images, tmp_path, halves, monkeypatch):
    monkeypatch.setitem(PARTS, "deit", ((), (), ("block 1",)))
    with pytest.raises(PlanError, match=r"3 members of stages\[0\] keep as they are, but it has 2"):
        train_protocol(protocol(images, tmp_path / "tiny"))


def test_stacked_members_cannot_differ(images, tmp_path, halves):
    cfg = protocol(images, tmp_path / "tiny", lockstep=dict(compute="stacked"))
    with pytest.raises(ValueError, match="set compute='loop'"):
        train_protocol(cfg)
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.parametrize(
    "frozen, message",
    [
        ([[], ["backbone.layer.0"]], r"member 1 has no part 'backbone.layer.0' to freeze"),
        ([[""], []], "member 0 has no part ''"),
        ([["backbone", "head"], []], "member 0 has nothing left to train"),
        ([[]], "2 seeds and 1 lists of frozen parts"),
    ],
)
def test_what_cannot_be_frozen_is_named(frozen, message):
    with pytest.raises(ValueError, match=message):
        Siblings(MODELS["deit"], seeds=[1, 2], frozen=frozen)


def test_frozen_statistics_stay_and_drop_path_draws():
    siblings = Siblings(MODELS["resnet"], seeds=[1, 2], frozen=[[], ["backbone.layer1"]]).train()
    for member, kept in zip(siblings.members, (False, True), strict=True):
        block, next_ = member.backbone.layer1[1], member.backbone.layer2[0]
        assert block.training and next_.bn1.training and block.bn1.training is not kept
        assert block.drop_path.training
        before = [norm.running_mean.clone() for norm in (block.bn1, next_.bn1)]
        member.backbone(torch.rand(4, 3, 16, 16))
        moved = [
            not torch.equal(norm.running_mean, was)
            for norm, was in zip((block.bn1, next_.bn1), before, strict=True)
        ]
        assert moved == [not kept, True]
    assert all(p.requires_grad for p in siblings.members[0].parameters())


def test_norms_that_mmengine_replaces_stay_frozen():
    siblings = Siblings(MODELS["resnet"], seeds=[1, 2], frozen=[[], ["backbone.layer1"]])
    converted = revert_sync_batchnorm(
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(siblings)
    ).train()
    one, two = (member.backbone.layer1[0].bn1.training for member in converted.members)
    assert (one, two) == (True, False)
