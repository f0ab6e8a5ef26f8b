"""Siblings share their batches and nothing else.

tests/engine/stages/test_lockstep.py trains them.
"""

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample

from mmrbdc.models import Siblings
from mmrbdc.seeding import seed_all

pytestmark = pytest.mark.numeric

CLASSES = 4
MEMBER = dict(
    type="ImageClassifier",
    backbone=dict(
        type="VisionTransformer",
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=16,
        patch_size=8,
        drop_path_rate=0.5,
    ),
    head=dict(type="VisionTransformerClsHead", num_classes=CLASSES, in_channels=16),
    data_preprocessor=dict(num_classes=CLASSES, mean=[100.0] * 3, std=[50.0] * 3),
)
MIXUP = dict(augments=[dict(type="Mixup", alpha=0.8)])
CUTMIX = dict(augments=[dict(type="CutMix", alpha=1.0)])


@pytest.fixture(autouse=True)
def _scope(_detection_scope_and_seed):
    init_default_scope("mmpretrain")


def siblings(seeds=(11, 22, 33), indices=None, init_cfgs=None, **changes):
    model = Siblings({**MEMBER, **changes}, seeds, indices, init_cfgs)
    model.init_weights()
    for seed, member in zip(seeds, model.members, strict=True):
        draw = torch.Generator().manual_seed(seed)
        head = member.head.layers.head.weight  # 0 by MMPretrain's initialisation
        torch.nn.init.normal_(head, generator=draw)
    return model


def batch(size=6):
    draw = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (size, 3, 16, 16), generator=draw, dtype=torch.uint8)
    return dict(
        inputs=images, data_samples=[DataSample().set_gt_label(i % CLASSES) for i in range(size)]
    )


def losses(model, data=None):
    model.train()
    return model(**model.data_preprocessor(data or batch(), training=True), mode="loss")


def gradients(member):
    return {name: p.grad.clone() for name, p in member.named_parameters() if p.grad is not None}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_one_backward_gives_each_member_its_own_gradient():
    model = siblings(train_cfg=MIXUP)
    total, logged = model.parse_losses(losses(model))
    assert [k for k in logged if k != "loss"] == [f"member{i}.loss" for i in range(3)]
    total.backward()
    together = [gradients(member) for member in model.members]
    for i, name in enumerate(["member0.loss", "member1.loss", "member2.loss"]):
        model.zero_grad()
        losses(model)[name].backward()
        assert same(gradients(model.members[i]), together[i])
        assert not any(gradients(model.members[j]) for j in range(3) if j != i)


def test_twin_the_loss_of_the_ensemble_mixes_the_gradients():
    """In one member's gradient stands what the others answered."""
    model = siblings()
    data = model.data_preprocessor(batch())
    labels = torch.cat([sample.gt_label for sample in data["data_samples"]])
    found = []
    for scale in (1.0, 2.0):
        with torch.no_grad():
            model.members[1].head.layers.head.bias.fill_(scale)[0] = 0
        model.zero_grad()
        logits = model(data["inputs"], mode="tensor").mean(0)
        torch.nn.functional.cross_entropy(logits, labels).backward()
        found.append(gradients(model.members[0]))
    assert not same(*found)


def test_members_are_what_their_seeds_say_and_not_what_came_before():
    torch.manual_seed(1)
    alone = siblings(seeds=[22])
    torch.manual_seed(2)
    among = siblings(seeds=[11, 22, 33])
    assert same(alone.member_state_dict(0), among.member_state_dict(1))
    assert not same(among.member_state_dict(0), among.member_state_dict(1))


def test_a_member_is_mmpretrains_classifier():
    model = siblings(seeds=[11])
    seed_all("construction", 11)
    plain = MODELS.build(copy.deepcopy(MEMBER))
    seed_all("initialisation", 11)
    plain.init_weights()
    plain.head.load_state_dict(model.members[0].head.state_dict())
    assert same(model.member_state_dict(0), plain.state_dict())
    data = model.data_preprocessor(batch())
    assert torch.equal(data["inputs"], plain.data_preprocessor(batch())["inputs"])
    plain.eval()
    model.eval()
    assert torch.equal(model(data["inputs"])[0], plain(data["inputs"]))


@pytest.mark.parametrize("augments", [MIXUP, CUTMIX])
def test_a_batch_is_mixed_for_each_member_by_itself(augments):
    among = siblings(train_cfg=augments).data_preprocessor(batch(), training=True)
    alone = siblings(seeds=[22], train_cfg=augments).data_preprocessor(batch(), training=True)
    assert torch.equal(among["inputs"][1], alone["inputs"][0])
    scores = [[s.gt_score for s in samples] for samples in among["data_samples"]]
    assert all(
        torch.equal(a, b.gt_score) for a, b in zip(scores[1], alone["data_samples"][0], strict=True)
    )
    assert not torch.equal(among["inputs"][0], among["inputs"][1])
    assert not torch.equal(torch.stack(scores[0]), torch.stack(scores[1]))
    for member_scores in scores:
        assert torch.stack(member_scores).sum(1).allclose(torch.ones(6))


def test_the_next_iteration_mixes_anew():
    model = siblings(train_cfg=MIXUP)
    mixed = []
    for iteration in (0, 1, 0):
        MessageHub.get_current_instance().update_info("iter", iteration)
        torch.rand(1)
        mixed.append(model.data_preprocessor(batch(), training=True)["inputs"][0])
    assert torch.equal(mixed[0], mixed[2])
    assert not torch.equal(mixed[0], mixed[1])


def test_drop_path_is_drawn_from_seed_and_iteration():
    """The same among others, in another order, and whatever the global generator did."""
    hub = MessageHub.get_current_instance()
    hub.update_info("iter", 4)
    first = losses(siblings(seeds=[11, 22, 33]))
    torch.manual_seed(9)
    other = losses(siblings(seeds=[33, 11], indices=[2, 0]))
    assert torch.equal(first["member0.loss"], other["member0.loss"])
    assert torch.equal(first["member2.loss"], other["member2.loss"])
    hub.update_info("iter", 5)
    later = losses(siblings(seeds=[11, 22, 33]))
    hub.update_info("iter", 0)
    assert not torch.equal(first["member0.loss"], later["member0.loss"])


def test_nothing_is_mixed_outside_training_or_without_augments():
    data = siblings(train_cfg=MIXUP).data_preprocessor(batch())
    assert data["inputs"].shape == (6, 3, 16, 16)
    plain = siblings().data_preprocessor(batch(), training=True)
    assert all(torch.equal(inputs, data["inputs"]) for inputs in plain["inputs"])


def test_augments_come_from_where_mmpretrain_takes_them():
    """``data_preprocessor.batch_augments`` goes before ``train_cfg``, and only one is applied."""
    preprocessor = dict(MEMBER["data_preprocessor"], batch_augments=CUTMIX)
    both = siblings(data_preprocessor=preprocessor, train_cfg=MIXUP).data_preprocessor
    alone = siblings(train_cfg=CUTMIX).data_preprocessor
    mixed = [p(batch(), training=True)["inputs"][0] for p in (both, alone)]
    assert torch.equal(*mixed)


def test_predictions_are_of_the_ensemble_and_name_each_members_choice():
    model = siblings().eval()
    samples = model.val_step(batch())
    logits = model(model.data_preprocessor(batch())["inputs"], mode="tensor")
    assert logits.shape == (3, 6, CLASSES)
    for i, sample in enumerate(samples):
        mean = logits[:, i].mean(0)
        assert sample.pred_label == mean.argmax()
        assert sample.pred_score.allclose(mean.softmax(0))
        assert sample.member_labels.tolist() == logits[:, i].argmax(1).tolist()
        assert sample.gt_label == i % CLASSES


def test_losses_carry_the_members_numbers():
    assert list(losses(siblings(seeds=[5, 6], indices=[3, 1]))) == ["member3.loss", "member1.loss"]


def test_each_member_has_its_own_initialiser():
    constant = dict(type="Constant", layer="LayerNorm", val=7.0)
    model = siblings(seeds=[1, 2], init_cfgs=[None, constant])
    norms = [member.backbone.layers[0].ln1.weight for member in model.members]
    assert norms[0].eq(1).all() and norms[1].eq(7).all()


def test_the_config_is_left_as_it_was():
    config = copy.deepcopy(dict(MEMBER, train_cfg=MIXUP))
    Siblings(config, seeds=[1, 2])
    assert config == dict(MEMBER, train_cfg=MIXUP)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(seeds=[]), "one seed per member"),
        (dict(seeds=[4, 4]), "[4, 4]"),
        (dict(seeds=[1, 2], indices=[0]), "2 seeds, 1 indices and 2 init_cfgs"),
        (dict(seeds=[1, 2], init_cfgs=[None]), "2 seeds, 2 indices and 1 init_cfgs"),
    ],
)
def test_what_does_not_match_is_refused(arguments, message):
    with pytest.raises(ValueError) as error:
        Siblings(MEMBER, **arguments)
    assert message in str(error.value)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="'features'"):
        siblings()(torch.zeros(1, 3, 16, 16), mode="features")
