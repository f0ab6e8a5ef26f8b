"""Stacked members have the loop's losses, gradients and statistics; nothing else changes."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

from mmrbdc.models import Siblings, stacked
from tests.numerics import assert_float32

pytestmark = pytest.mark.numeric

CLASSES = 4
SEEDS = (11, 22, 33)
LOSS = dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original")
MEMBERS = dict(
    deit=dict(
        type="ImageClassifier",
        backbone=dict(
            type="VisionTransformer",
            arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
            img_size=16,
            patch_size=8,
        ),
        head=dict(type="VisionTransformerClsHead", num_classes=CLASSES, in_channels=16, loss=LOSS),
    ),
    resnet=dict(
        type="ImageClassifier",
        backbone=dict(type="ResNet", depth=18, base_channels=8, stem_channels=8, out_indices=(3,)),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=CLASSES, in_channels=64, loss=LOSS),
    ),
)
PREPROCESSOR = dict(num_classes=CLASSES, mean=[100.0] * 3, std=[50.0] * 3)
MIXUP = dict(augments=[dict(type="Mixup", alpha=0.8)])


@pytest.fixture(autouse=True)
def _scope(_detection_scope_and_seed):
    init_default_scope("mmpretrain")


def siblings(name, dtype=torch.float64, drop_path=0.0, **options):
    member = copy.deepcopy(dict(MEMBERS[name], data_preprocessor=PREPROCESSOR, train_cfg=MIXUP))
    member["backbone"]["drop_path_rate"] = drop_path
    model = Siblings(member, SEEDS, **options)
    model.init_weights()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():  # zero heads and norms let no gradient through
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.1)
    return model.to(dtype)


def trained(model, size=32):
    """Losses, gradients and state of one pass in training, by name."""
    draw = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (6, 3, size, size), generator=draw, dtype=torch.uint8)
    samples = [DataSample().set_gt_label(i % CLASSES) for i in range(6)]
    model.train()
    data = model.data_preprocessor(dict(inputs=images, data_samples=samples), training=True)
    dtype = next(model.parameters()).dtype
    inputs = [own.to(dtype) for own in data["inputs"]]
    losses = model(inputs, data["data_samples"], mode="loss")
    sum(losses.values()).backward()
    gradients = {f"grad.{n}": p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {**losses, **gradients, **model.state_dict()}


def distances(one, other):
    """Lengths of the differences, relative to each tensor's own."""
    assert one.keys() == other.keys()
    return {
        name: ((one[name] - other[name]).norm() / one[name].norm().clamp(1e-3)).item()
        for name in one
        if one[name].is_floating_point()
    }


@pytest.mark.parametrize("name, size", [("deit", 16), ("resnet", 32)])
def test_stacked_is_the_loop(name, size):
    """Gradients in the members' own parameters, BatchNorm's statistics in their own buffers."""
    loop = trained(siblings(name), size)
    together = trained(siblings(name, compute="stacked"), size)
    assert max(distances(loop, together).values()) < 1e-10
    for key, value in loop.items():
        if not value.is_floating_point():
            assert torch.equal(value, together[key])
    if name == "resnet":
        assert loop["members.1.backbone.bn1.num_batches_tracked"] == 1


@pytest.mark.parametrize("name, size", [("deit", 16), ("resnet", 32)])
def test_in_float32_stacked_and_loop_are_off_by_rounding_only(name, size):
    singles = [trained(siblings(name, torch.float32, compute=c), size) for c in ("loop", "stacked")]
    assert_float32(lambda: trained(siblings(name), size), singles)


@pytest.mark.parametrize("name, size", [("deit", 16), ("resnet", 32)])
def test_the_state_dict_is_the_loops(name, size):
    loop, together = siblings(name), siblings(name, compute="stacked")
    trained(together, size)
    assert list(loop.state_dict()) == list(together.state_dict())
    assert [n for n, _ in loop.named_parameters()] == [n for n, _ in together.named_parameters()]


def test_twin_statistics_of_the_wrong_member_are_seen(monkeypatch):
    def wrong(members, *data):
        return stacked.stacked_losses(members[::-1], *data)[::-1]

    monkeypatch.setattr("mmrbdc.models.siblings.stacked_losses", wrong)
    loop = trained(siblings("resnet"))
    far = distances(loop, trained(siblings("resnet", compute="stacked")))
    assert far["member0.loss"] > 1e-3
    assert far["members.0.backbone.bn1.running_var"] > 1e-3


def test_every_member_draws_a_drop_path_of_its_own():
    """Not the loop's, and the same whenever the iteration is."""
    models = [siblings("deit", drop_path=0.9, compute=c) for c in ("loop", "stacked", "stacked")]
    for model in models:
        for member in model.members[1:]:
            member.load_state_dict(model.members[0].state_dict())
        model.data_preprocessor.batch_augments = None
    loop, together, again = (trained(model, 16) for model in models)
    assert max(distances(together, again).values()) == 0
    assert max(distances(loop, together).values()) > 1e-3
    losses = [together[f"member{i}.loss"].item() for i in range(3)]
    assert len(set(losses)) == 3


def test_a_model_that_vmap_cannot_run_is_an_error():
    model = siblings("deit", compute="stacked")

    class Branching(torch.nn.Identity):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    model.members[0].backbone.patch_embed.norm = Branching()
    with pytest.raises(ValueError, match=r"fails under torch.func.vmap .* use compute='loop'"):
        trained(model, 16)


def test_a_head_with_a_loss_of_its_own_is_refused():
    member = copy.deepcopy(MEMBERS["deit"])
    member["head"] = dict(type="MultiLabelLinearClsHead", num_classes=CLASSES, in_channels=16)
    Siblings(member, SEEDS)
    with pytest.raises(ValueError, match="MultiLabelLinearClsHead"):
        Siblings(member, SEEDS, compute="stacked")


def test_an_unknown_compute_is_refused():
    with pytest.raises(ValueError, match="'loop' or 'stacked', got 'fast'"):
        Siblings(MEMBERS["deit"], SEEDS, compute="fast")


def test_channels_last_changes_rounding_only():
    plain = trained(siblings("resnet"))
    model = siblings("resnet", channels_last=True)
    last = trained(model)
    assert max(distances(plain, last).values()) < 1e-10
    weight = model.members[2].backbone.layer1[0].conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    batch = dict(inputs=torch.zeros(2, 3, 32, 32), data_samples=[DataSample(), DataSample()])
    images = model.data_preprocessor(batch)["inputs"]
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_channels_last_is_refused_where_torch_would_crash():
    member = copy.deepcopy(MEMBERS["resnet"])
    member["backbone"].update(base_channels=4, stem_channels=4)
    member["head"]["in_channels"] = 32
    with pytest.raises(ValueError, match=r"layer2.0.downsample.0 .* 4 input channels"):
        Siblings(member, SEEDS, channels_last=True)
