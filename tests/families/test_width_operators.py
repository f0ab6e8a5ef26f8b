"""Operators that widen one model: exact where they claim it, on MMPretrain's own networks."""

import re
from functools import partial

import pytest
import torch

from mmrbdc.families import architecture_from_config
from mmrbdc.growth import GrowthError, get_operator, grow
from mmrbdc.growth.maps import widening
from mmrbdc.growth.operators import aki, net2net, tiling

pytestmark = pytest.mark.numeric

EXACT = ("net2net", "tiling", "self-coupling")
NOT_EXACT = ("net2net-noise", "aki")
FAMILIES = ("deit", "resnet")
RATIOS = (2, 4)


def config_of(zoo, family):
    if family == "deit":
        return zoo.deit()
    return zoo.resnet(depth=50, base_channels=8, stem_channels=8, num_stages=2, strides=(1, 2),
                      dilations=(1, 1), out_indices=(1,))  # fmt: skip


def model_of(zoo, config, state):
    model = zoo.build(config).double()
    model.load_state_dict(state)
    return model


def widened(zoo, family, operator, ratio=2, seeds=(1,), grow_by=None):
    """Child and parents as models in float64, and the child's layout."""
    config = config_of(zoo, family)
    arch = architecture_from_config(config)
    narrow = arch.scaled(1 / ratio).classifier_config(config)
    states = [zoo.build(narrow, seed).double().state_dict() for seed in seeds]
    layout = arch.layout()
    generator = torch.Generator().manual_seed(5)
    if grow_by is None:
        found = grow(states, layout, operator=operator, generator=generator, allow_equal=True)
        state = found.state_dict
    else:
        state = grow_by(states, layout, generator=generator)
    return model_of(zoo, config, state), [model_of(zoo, narrow, s) for s in states], layout


def error(zoo, child, parents):
    size = (2, 3, 32, 32)
    images = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return zoo.mean_error(child, parents, images)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("operator", EXACT)
def test_the_child_computes_what_its_parent_does(zoo, family, operator, ratio):
    child, parents, _ = widened(zoo, family, operator, ratio)
    assert error(zoo, child, parents) < 1e-10


@pytest.mark.parametrize("family", FAMILIES)
def test_averaging_equal_parents_is_exact_and_different_ones_is_not(zoo, family):
    child, parents, _ = widened(zoo, family, "averaging", seeds=(1, 1))
    assert error(zoo, child, parents) < 1e-10
    child, parents, _ = widened(zoo, family, "averaging", seeds=(1, 2))
    assert error(zoo, child, parents) > 0.1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("operator", NOT_EXACT)
def test_the_others_come_near(zoo, family, operator):
    """Measured on random weights: noise moves logits by some percent, AKI changes the function."""
    child, parents, _ = widened(zoo, family, operator)
    assert 1e-4 < error(zoo, child, parents) < (0.5 if operator == "net2net-noise" else 5)


@pytest.mark.parametrize("family", FAMILIES)
def test_twin_shares_that_do_not_sum_to_one(zoo, family):
    def doubled(states, layout, generator):
        sizes = layout.space_sizes(states[0], "")
        sources = net2net.drawn_sources(sizes, layout, generator)
        return widening.widen(states[0], layout, sources, lambda *a: 1.1 * widening.equal_share(*a))

    child, parents, _ = widened(zoo, family, "", grow_by=doubled)
    assert error(zoo, child, parents) > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_twin_a_map_of_its_own_for_every_tensor(zoo, family):
    """What a published Net2Net baseline does: writers and readers of one space disagree."""

    def inconsistent(states, layout, generator):
        sizes = layout.space_sizes(states[0], "")
        child = {}
        for name in layout.entries:
            sources = {
                space.name: net2net._drawn_source(sizes[space.name], space, generator)
                for space in layout.spaces.values()
            }
            child[name] = widening.widen(states[0], layout, sources)[name]
        return child

    child, parents, _ = widened(zoo, family, "", grow_by=inconsistent)
    assert error(zoo, child, parents) > 1e-2


def test_twin_a_stream_under_layer_norm_with_unequal_copies(zoo):
    def drawn(states, layout, generator):
        sizes = layout.space_sizes(states[0], "")
        sources = {
            name: net2net._drawn_source(sizes[name], space, generator)
            for name, space in layout.spaces.items()
        }
        return widening.widen(states[0], layout, sources)

    child, parents, _ = widened(zoo, "deit", "", grow_by=drawn)
    assert error(zoo, child, parents) > 1e-2
    child, parents, _ = widened(zoo, "resnet", "", grow_by=drawn)
    assert error(zoo, child, parents) < 1e-10


def test_twin_noise_that_does_not_cancel(zoo, monkeypatch):
    right = tiling._cancelling
    monkeypatch.setattr(tiling, "_cancelling", lambda *a: right(*a) + 0.05)
    child, parents, _ = widened(zoo, "deit", "tiling")
    assert error(zoo, child, parents) > 1e-3


def test_indivisible_widths(zoo):
    """A ResNet may be widened by half; a stream under LayerNorm may not, and says why."""
    config = config_of(zoo, "resnet")
    arch = architecture_from_config(config)
    wide = arch.scaled(1.5)
    state = zoo.build(config, 1).double().state_dict()
    child = grow([state], wide.layout(), operator="net2net").state_dict
    models = model_of(zoo, wide.classifier_config(config), child), [model_of(zoo, config, state)]
    assert error(zoo, *models) < 1e-10
    deit = architecture_from_config(zoo.deit())
    small = zoo.build(zoo.deit(), 1).state_dict()
    for operator in ("net2net", "aki"):
        with pytest.raises(GrowthError, match=r"LayerNorm .* 2, 3, \.\.\. times as wide"):
            grow([small], deit.scaled(1.5).layout(), operator=operator)
    for operator in ("tiling", "self-coupling"):
        with pytest.raises(GrowthError, match="times as wide as its parent in every space"):
            grow([small], deit.scaled(1.5).layout(), operator=operator)


def gradients_of_copies(zoo, operator, grow_by=None):
    """Largest relative difference of the gradients of two hidden units that are copies."""
    child, _, _layout = widened(zoo, "deit", operator, grow_by=grow_by)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    child(images).square().sum().backward()
    name = "backbone.layers.1.ffn.layers.0.0.bias"
    gradient = child.get_parameter(name).grad
    source = widening.tiled_source(len(gradient) // 2, len(gradient))
    first, second = gradient.view(2, -1)
    assert torch.equal(source[: len(first)], source[len(first) :])
    return float((first - second).abs().max() / gradient.abs().max())


def test_symmetry_is_broken_where_it_must_be(zoo):
    """Copies that share equally get equal gradients; noise or unequal shares tell them apart."""

    def plain(states, layout, generator):
        return tiling.tile(states, layout)

    def unequal(states, layout, generator):
        found = layout.space_sizes(states[0], "")
        sources = {n: widening.tiled_source(found[n], s.size) for n, s in layout.spaces.items()}
        return widening.widen(
            states[0], layout, sources, partial(net2net.unequal_share, generator=generator)
        )

    assert gradients_of_copies(zoo, "", plain) < 1e-10
    assert gradients_of_copies(zoo, "self-coupling") < 1e-10
    assert gradients_of_copies(zoo, "tiling") > 1e-3
    assert gradients_of_copies(zoo, "", unequal) > 1e-2


def test_shares_of_copies_sum_to_one():
    source = torch.tensor([0, 1, 2, 1, 1, 0])
    share = net2net.unequal_share("", None, source, generator=torch.Generator().manual_seed(1))
    sums = torch.zeros(3).double().index_add(0, source, share)
    assert torch.allclose(sums, torch.ones(3).double(), atol=1e-12)
    assert len(set(share.tolist())) == len(source)


def test_net2net_keeps_the_old_channels_first_and_whole_heads(zoo):
    child, (parent,), _layout = widened(zoo, "deit", "net2net")
    wide, narrow = child.state_dict(), parent.state_dict()
    bias = "backbone.layers.0.ffn.layers.0.0.bias"
    assert torch.equal(wide[bias][:32], narrow[bias])
    assert set(wide[bias][32:].tolist()) <= set(narrow[bias].tolist())
    queries = wide["backbone.layers.0.attn.qkv.bias"][:32].view(4, 8)
    heads = narrow["backbone.layers.0.attn.qkv.bias"][:16].view(2, 8)
    for head in queries:
        assert any(torch.equal(head, old) for old in heads)


def test_aki_takes_new_rows_from_the_next_block(zoo):
    child, (parent,), layout = widened(zoo, "deit", "aki")
    wide, narrow = child.state_dict(), parent.state_dict()
    first, second = (f"backbone.layers.{i}.ffn.layers.0.0.bias" for i in (0, 1))
    assert torch.equal(wide[first][:32], narrow[first])
    assert set(wide[first][32:].tolist()) <= set(narrow[second].tolist())
    assert set(wide[second][32:].tolist()) <= set(narrow[second].tolist())  # the last block
    above = aki.next_block_tensors(layout)
    assert above["backbone.layers.0.attn.qkv.weight"] == "backbone.layers.1.attn.qkv.weight"
    assert "backbone.layers.1.attn.qkv.weight" not in above
    assert "backbone.pos_embed" not in above


def test_aki_takes_a_norm_from_where_its_convolution_comes(zoo):
    """The first convolution of a stage has other inputs than that of the next block."""
    config = config_of(zoo, "resnet")
    arch = architecture_from_config(config)
    narrow = zoo.build(arch.scaled(1 / 2).classifier_config(config), 1).state_dict()
    generator = torch.Generator().manual_seed(1)
    for tensor in narrow.values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5, generator=generator)
    layout = arch.layout()
    wide = grow([narrow], layout, operator="aki", generator=generator).state_dict
    above = aki.next_block_tensors(layout)
    assert not any("downsample" in name or "layer1.2." in name for name in above)
    taken = []
    for conv in (n for n in wide if re.search(r"layer\d\.0\.conv\d\.weight", n)):
        taken += [conv] if conv in above else []
        for part in ("weight", "bias", "running_mean", "running_var"):
            name = conv.replace("conv", "bn").replace("weight", part)
            source = name.replace(".0.", ".1.") if conv in above else name
            new = wide[name][len(narrow[name]) :]
            assert set(new.tolist()) <= set(narrow[source].tolist())
    assert [name.removeprefix("backbone.") for name in taken] == [
        f"layer{stage}.0.conv{conv}.weight" for stage in (1, 2) for conv in (2, 3)
    ]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("operator", [*EXACT, *NOT_EXACT, "averaging"])
def test_parents_are_left_alone_and_a_seed_gives_the_same_child(zoo, family, operator):
    config = config_of(zoo, family)
    arch = architecture_from_config(config)
    narrow = arch.scaled(1 / 2).classifier_config(config)
    count = 1 if get_operator(operator).parents == "one" else 2
    states = [zoo.build(narrow, seed).state_dict() for seed in range(1, count + 1)]
    before = [{name: tensor.clone() for name, tensor in state.items()} for state in states]
    children = [
        grow(states, arch.layout(), operator=operator, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    one, again = (child.state_dict for child in children)
    assert all(torch.equal(one[name], again[name]) for name in one)
    for state, old in zip(states, before, strict=True):
        assert all(torch.equal(state[name], old[name]) for name in old)
    memory = {tensor.data_ptr() for state in states for tensor in state.values()}
    assert not memory & {tensor.data_ptr() for tensor in one.values()}
    assert all(one[name].dtype == states[0][name].dtype for name in one)


@pytest.mark.parametrize("operator", [*EXACT, *NOT_EXACT])
def test_two_parents_are_refused(zoo, operator):
    config = config_of(zoo, "deit")
    arch = architecture_from_config(config)
    narrow = arch.scaled(1 / 2).classifier_config(config)
    states = [zoo.build(narrow, seed).state_dict() for seed in (1, 2)]
    with pytest.raises(GrowthError, match="widens one parent, it got 2"):
        grow(states, arch.layout(), operator=operator)


@pytest.mark.parametrize("operator", ["net2net", "net2net-noise", "aki"])
@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_to_widen_is_refused(zoo, family, operator):
    config = config_of(zoo, family)
    layout = architecture_from_config(config).layout()
    with pytest.raises(GrowthError, match="same widths, so there is nothing to widen"):
        grow([zoo.build(config).state_dict()], layout, operator=operator)


def test_averaging_refuses_other_widths(zoo):
    config = config_of(zoo, "deit")
    arch = architecture_from_config(config)
    states = [
        zoo.build(arch.scaled(share).classifier_config(config), 1).state_dict()
        for share in (1 / 4, 3 / 4)
    ]
    with pytest.raises(GrowthError, match="8 and 24 wide .* parents of one width"):
        grow(states, arch.layout(), operator="averaging")
