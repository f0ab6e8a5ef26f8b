"""Members as mixtures of templates: they start as the plain ones, and train as any member does."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.nn.utils.parametrize import is_parametrized

from mmrbdc.engine.cost.on_meta import build_on_meta
from mmrbdc.models import Siblings, TemplateClassifier
from mmrbdc.models.templates import TemplateMixture
from mmrbdc.plan import forward_flops, training_flops_per_sample

pytestmark = pytest.mark.numeric

CLASSES = 4
SEEDS = (11, 22)
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
        backbone=dict(type="ResNetV1d", depth=18, base_channels=8, stem_channels=8),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=CLASSES, in_channels=64, loss=LOSS),
    ),
)
PREPROCESSOR = dict(num_classes=CLASSES, mean=[100.0] * 3, std=[50.0] * 3)
FAMILIES = sorted(MEMBERS)
STARTED = 8 * torch.finfo(torch.float32).eps
"""A member starts in float32: four products and two sums take a weight apart, two join it."""
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()


@pytest.fixture(autouse=True)
def _scope(_detection_scope_and_seed):
    init_default_scope("mmpretrain")


def siblings(family, templates=True, seeds=SEEDS, **options):
    member = copy.deepcopy(dict(MEMBERS[family], data_preprocessor=PREPROCESSOR))
    if templates:
        member["type"] = "mmrbdc.TemplateClassifier"
    model = Siblings(member, seeds, **options)
    model.init_weights()
    return model.double()


def images(family):
    return IMAGES[..., :16, :16] if family == "deit" else IMAGES


def losses(model, family):
    samples = [DataSample().set_gt_label(i) for i in range(2)]
    model.train()
    count = len(model.members)
    return model([images(family)] * count, [samples] * count, mode="loss")


def shaken(model):
    """Zero heads and norms let no gradient through."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.1)
    return model


def distance(state, other):
    assert state.keys() == other.keys()
    return max(
        ((state[name] - other[name]).norm() / state[name].norm().clamp(1e-3)).item()
        for name in state
        if state[name].is_floating_point()
    )


def test_which_weights_are_mixtures():
    """By hand: what has two widths, and nothing else."""
    for family, modules in dict(
        deit=[
            f"backbone.layers.{i}.{name}"
            for i in range(2)
            for name in ("attn.qkv", "attn.proj", "ffn.layers.0.0", "ffn.layers.1")
        ],
        resnet=[
            "backbone.stem.1.conv",
            "backbone.stem.2.conv",
            *[
                f"backbone.layer{i}.{j}.conv{k}"
                for i in range(1, 5)
                for j in range(2)
                for k in (1, 2)
            ],
            *[f"backbone.layer{i}.0.downsample.1" for i in (2, 3, 4)],
        ],
    ).items():
        (member,) = siblings(family, seeds=[1]).members
        found = {name for name, module in member.named_modules() if is_parametrized(module)}
        assert found == set(modules)
        names = member.state_dict().keys()
        for name in modules:
            assert f"{name}.parametrizations.weight.original0" in names
            assert f"{name}.parametrizations.weight.original1" in names
            assert f"{name}.weight" not in names
        assert not [name for name in names if name.endswith("original2")]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_member_starts_as_the_plain_member_of_its_seed(family):
    plain, mixed = siblings(family, templates=False), siblings(family)
    for i in range(2):
        own = mixed.members[i].plain_state_dict()
        assert distance(plain.member_state_dict(i), own) < STARTED
    own = [member.plain_state_dict() for member in mixed.members]
    for member, state in zip(plain.members, own, strict=True):
        member.load_state_dict(state)
    assert torch.allclose(plain(images(family)), mixed(images(family)), rtol=1e-10, atol=1e-10)
    # twin: another seed
    assert distance(plain.member_state_dict(0), mixed.members[1].plain_state_dict()) > 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_no_mixture_starts_bit_by_bit_as_in_the_plain_member(family):
    plain, mixed = (siblings(family, kind).member_state_dict(0) for kind in (False, True))
    shared = plain.keys() & mixed.keys()
    assert len(shared) > 10
    assert all(torch.equal(plain[name], mixed[name]) for name in shared)


@pytest.mark.parametrize("family", FAMILIES)
def test_members_are_what_their_seeds_say_and_not_what_came_before(family):
    torch.manual_seed(1)
    alone = siblings(family, seeds=[22]).member_state_dict(0)
    torch.manual_seed(2)
    together = siblings(family)
    among = together.member_state_dict(1)
    assert all(torch.equal(alone[name], among[name]) for name in alone)
    first = together.member_state_dict(0)
    mixtures = [name for name in first if ".parametrizations." in name]
    assert mixtures and not any(torch.equal(first[name], among[name]) for name in mixtures)


def test_coefficients_start_as_unit_vectors_and_templates_as_large_as_the_weight():
    torch.manual_seed(0)
    weight = 0.3 * torch.randn(64, 32, dtype=torch.float64)
    mixture = TemplateMixture()
    templates, coefficients = mixture.right_inverse(weight)
    assert coefficients.norm() == pytest.approx(1)
    assert torch.allclose(mixture(templates, coefficients), weight, atol=1e-15)
    assert templates.std(dim=(1, 2)).tolist() == pytest.approx([0.3, 0.3], rel=0.1)
    vectors = torch.stack([mixture.right_inverse(weight)[1] for _ in range(200)])
    assert vectors.mean(0).norm() < 0.2


def test_initialising_fills_the_parameters_that_the_optimizer_has():
    member = copy.deepcopy(dict(MEMBERS["deit"], type="mmrbdc.TemplateClassifier"))
    model = Siblings(member, [3])
    before = dict(model.named_parameters())
    values = {name: value.clone() for name, value in before.items()}
    model.init_weights()
    after = dict(model.named_parameters())
    assert before.keys() == after.keys() and all(before[name] is after[name] for name in after)
    changed = [name for name in after if not torch.equal(values[name], after[name])]
    assert any("qkv.parametrizations" in name for name in changed)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_members_loss_reaches_no_other_member(family):
    model = shaken(siblings(family))
    found = losses(model, family)
    found["member0.loss"].backward(retain_graph=True)
    assert all(p.grad is None or not p.grad.any() for p in model.members[1].parameters())
    own = {n: p.grad.clone() for n, p in model.members[0].named_parameters()}
    assert all(gradient.any() for name, gradient in own.items() if ".parametrizations." in name)
    model.zero_grad()
    sum(found.values()).backward()
    assert all(torch.equal(p.grad, own[n]) for n, p in model.members[0].named_parameters())
    # twin: what a loss of the ensemble does
    model.zero_grad()
    model(images(family)).mean(0).square().sum().backward()
    assert not all(torch.equal(p.grad, own[n]) for n, p in model.members[0].named_parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_the_weight_times_the_coefficients(family):
    mixed = shaken(siblings(family, seeds=[11]))
    plain = siblings(family, templates=False, seeds=[11])
    plain.members[0].load_state_dict(mixed.members[0].plain_state_dict())
    for model in (plain, mixed):
        sum(losses(model, family).values()).backward()
    module = "backbone.layers.1.attn.qkv" if family == "deit" else "backbone.layer2.0.conv1"
    weight = plain.members[0].get_parameter(f"{module}.weight")
    templates, a = (
        mixed.members[0].get_parameter(f"{module}.parametrizations.weight.original{i}")
        for i in range(2)
    )
    for t in range(2):
        assert torch.allclose(templates.grad[t], a[t] * weight.grad, rtol=1e-10, atol=1e-10)
        inner = (templates[t] * weight.grad).sum()
        assert torch.allclose(a.grad[t], inner, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
def test_mixing_is_not_counted(family):
    """Its cost is per step and not per image."""
    image = torch.zeros(1, 3, 32, 32, device="meta")[..., : images(family).shape[-1]]
    image = image[..., : images(family).shape[-1], :]
    plain, mixed = (
        build_on_meta(dict(MEMBERS[family], type=kind))
        for kind in ("ImageClassifier", "mmrbdc.TemplateClassifier")
    )
    assert isinstance(mixed, TemplateClassifier)
    assert forward_flops(plain, image) == forward_flops(mixed, image)
    assert training_flops_per_sample(plain, image) == training_flops_per_sample(mixed, image)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_is_a_model_of_its_own(family):
    """As an EMAHook makes."""
    model = siblings(family)
    averaged = copy.deepcopy(model).requires_grad_(False)
    assert torch.equal(model(images(family)), averaged(images(family)))
    before = model(images(family)).clone()
    with torch.no_grad():
        for parameter in averaged.parameters():
            parameter.add_(1)
    assert torch.equal(model(images(family)), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_stacked_is_the_loop(family):
    found = []
    for compute in ("loop", "stacked"):
        model = shaken(siblings(family, compute=compute))
        result = losses(model, family)
        sum(result.values()).backward()
        found.append(result | {n: p.grad for n, p in model.named_parameters()})
    assert any("original1" in name for name in found[0])
    assert distance(*found) < 1e-10


def test_channels_last_changes_rounding_only():
    plain, last = (shaken(siblings("resnet", channels_last=c)) for c in (False, True))
    conv = last.members[0].backbone.layer1[0].conv1
    templates = conv.parametrizations.weight.original0
    for weight in (conv.weight, templates[0], templates[1]):
        assert weight.is_contiguous(memory_format=torch.channels_last)
        assert not weight.is_contiguous()
    other = last.member_state_dict(0)
    assert all(torch.equal(value, other[n]) for n, value in plain.member_state_dict(0).items())
    answers = last(IMAGES.to(memory_format=torch.channels_last))
    assert torch.allclose(plain(IMAGES), answers, rtol=1e-10, atol=1e-10)


def test_a_pretrained_plain_file_is_taken_over(tmp_path):
    plain = siblings("resnet", templates=False, seeds=[5])
    path = tmp_path / "plain.pth"
    torch.save(plain.member_state_dict(0), path)
    init_cfg = dict(type="Pretrained", checkpoint=str(path))
    config = dict(MEMBERS["resnet"], type="mmrbdc.TemplateClassifier", init_cfg=init_cfg)
    model = MODELS.build(copy.deepcopy(config))
    model.init_weights()
    own = {name: tensor.double() for name, tensor in model.plain_state_dict().items()}
    assert distance(plain.member_state_dict(0), own) < STARTED
