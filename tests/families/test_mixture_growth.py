"""MixtureGrowth on MMPretrain's own networks: real members as mixtures, and their child."""

import copy

import pytest
import torch
from mmengine.registry import DefaultScope

from mmrbdc.families import architecture_from_config
from mmrbdc.growth import grow
from mmrbdc.growth.operators import block_diagonal
from mmrbdc.growth.operators.mixture_growth import OFF_DIAGONALS
from mmrbdc.models import TemplateClassifier

pytestmark = pytest.mark.numeric

FAMILIES = ("deit", "resnet")
SIZE = (2, 3, 32, 32)


class Pair:
    """Two mixtures of half width with random weights and statistics, in float64."""

    def __init__(self, zoo, family, seeds=(1, 2)):
        self.zoo = zoo
        self.config = zoo.deit() if family == "deit" else zoo.resnet("ResNetV1d")
        arch = architecture_from_config(self.config)
        self.layout = arch.layout()
        narrow = arch.scaled(1 / 2).classifier_config(self.config)
        self.members = [self.member(narrow, seed) for seed in seeds]

    def member(self, narrow, seed):
        torch.manual_seed(seed)
        config = copy.deepcopy({key: value for key, value in narrow.items() if key != "type"})
        with DefaultScope.overwrite_default_scope("mmpretrain"):
            model = TemplateClassifier(**config)
        model.load_plain_state_dict(self.zoo.build(narrow, seed).state_dict())
        model.double().eval()
        return model

    def child(self, operator, seed=3):
        draw = torch.Generator().manual_seed(seed)
        states = [member.state_dict() for member in self.members]
        found = grow(states, self.layout, operator=operator, generator=draw, allow_equal=True)
        model = self.zoo.build(self.config).double()
        model.load_state_dict(found.state_dict)
        return model

    @property
    def images(self):
        return torch.randn(SIZE, generator=torch.Generator().manual_seed(0)).double()

    def error(self, child):
        """Distance of the child's logits from the sum of its parents', relative."""
        with torch.no_grad():
            total = sum(member(self.images) for member in self.members)
            return float((child(self.images) - total).abs().max() / total.abs().max())


def output_of(model, module, images):
    """What a module of the backbone gives out."""
    seen = []
    hook = model.backbone.get_submodule(module).register_forward_hook(
        lambda _, inputs, output: seen.append(output)
    )
    with torch.no_grad():
        model(images)
    hook.remove()
    return seen[0]


@pytest.fixture(scope="module")
def pairs():
    return {}


@pytest.fixture
def pair(zoo, pairs):
    """Made once a family."""
    return lambda family: pairs.setdefault(family, Pair(zoo, family))


def test_zero_answers_the_sum_of_its_parents_logits(pair):
    resnet = pair("resnet")
    assert resnet.error(resnet.child("mixture-growth-zero")) < 1e-10
    for operator in OFF_DIAGONALS.keys() - {"mixture-growth-zero"}:  # twins
        assert resnet.error(resnet.child(operator)) > 1e-3
    coupled = resnet.zoo.build(resnet.config).double()
    plain = [member.plain_state_dict() for member in resnet.members]
    coupled.load_state_dict(block_diagonal.grow(plain, resnet.layout))
    assert resnet.error(coupled) == pytest.approx(0.5)  # twin: the mean


def test_under_layer_norm_zero_is_exact_for_copies_of_one_model(zoo, pair):
    copies = Pair(zoo, "deit", seeds=(1, 1))
    assert copies.error(copies.child("mixture-growth-zero")) < 1e-10
    different = pair("deit")
    assert different.error(different.child("mixture-growth-zero")) > 1e-3


def test_hidden_activations_of_zero_are_the_members_side_by_side(pair):
    resnet = pair("resnet")
    models = [*resnet.members, resnet.child("mixture-growth-zero")]
    for module in ["stem.2", "layer1.0.bn1", "layer2.0.downsample.2", "layer3.1", "layer4.1"]:
        first, second, child = (output_of(model, module, resnet.images) for model in models)
        assert torch.allclose(child, torch.cat([first, second], 1), rtol=1e-10, atol=1e-10)
        swapped = torch.cat([second, first], 1)  # twin
        assert not torch.allclose(child, swapped, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_zero_is_block_diagonal_coupling_up_to_the_summed_logits(pair, family):
    own = pair(family)
    child = own.child("mixture-growth-zero").state_dict()
    plain = [member.plain_state_dict() for member in own.members]
    for name, tensor in block_diagonal.grow(plain, own.layout).items():
        scale = 2 if name.startswith("head.") else 1
        assert torch.equal(child[name], scale * tensor), name


@pytest.mark.parametrize("operator", OFF_DIAGONALS)
def test_statistics_norms_and_embeddings_are_concatenations_for_every_start(pair, operator):
    for family in FAMILIES:
        own = pair(family)
        child = own.child(operator).state_dict()
        first, second = (member.state_dict() for member in own.members)
        names = [
            name
            for name in child
            if name.endswith(("running_mean", "running_var", "bn1.weight", "ln1.bias", "proj.bias"))
        ]
        assert len(names) > 3
        for name in names:
            assert torch.equal(child[name], torch.cat([first[name], second[name]]))
        if family == "deit":
            name = "backbone.pos_embed"
            assert torch.equal(child[name], torch.cat([first[name], second[name]], -1))


@pytest.mark.parametrize("operator", OFF_DIAGONALS)
def test_diagonal_blocks_are_the_weights_that_the_members_used(pair, operator):
    deit, resnet = pair("deit"), pair("resnet")
    child = deit.child(operator).backbone.layers[1].attn.qkv.weight.chunk(3)
    for i, member in enumerate(deit.members):
        rows = slice(16 * i, 16 * i + 16)
        for own, whole in zip(member.backbone.layers[1].attn.qkv.weight.chunk(3), child,
                              strict=True):  # fmt: skip
            assert torch.equal(whole[rows, rows], own)
    child = resnet.child(operator).backbone.layer2[0].conv2.weight
    for i, member in enumerate(resnet.members):
        own = member.backbone.layer2[0].conv2.weight
        rows = slice(len(own) * i, len(own) * (i + 1))
        assert torch.equal(child[rows, rows], own)


@pytest.mark.parametrize("family", FAMILIES)
def test_off_diagonal_blocks_lie_in_the_span_of_the_templates(pair, family):
    own = pair(family)
    child = own.child("mixture-growth")
    module = "backbone.layers.0.ffn.layers.1" if family == "deit" else "backbone.layer1.0.conv2"
    whole = child.get_parameter(f"{module}.weight").detach()
    rows, columns = (size // 2 for size in whole.shape[:2])
    beside = whole[:rows, columns:].flatten()
    rests = []
    for member in own.members:
        templates = member.get_parameter(f"{module}.parametrizations.weight.original0")
        basis = templates.detach().flatten(1).T
        found = torch.linalg.lstsq(basis, beside[:, None]).solution[:, 0]
        rests.append(float((basis @ found - beside).norm() / beside.norm()))
        if len(rests) == 1:
            a = member.get_parameter(f"{module}.parametrizations.weight.original1")
            assert abs(float(found @ a.detach())) < 1e-10
    assert rests[0] < 1e-10 and rests[1] > 0.1  # twin: the other member's templates
