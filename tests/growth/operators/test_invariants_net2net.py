"""Net2Net: the function is kept, copies' shares sum to their channel, unequal shares part them."""

import pytest
import torch
from torch.nn import functional

from mmrbdc.growth import Axis, Entry, Layout, Space, grow
from tests.growth.invariants import (
    FAMILIES,
    along,
    assert_copies_part,
    assert_copies_stay_alike,
    assert_same_function,
    case,
    copied_channels,
    gathered,
    widened_by_hand,
)
from tests.numerics import assert_float32

pytestmark = pytest.mark.numeric

MLP_WIDTHS = (5, 13)
TOY_WIDTHS = ((4, 6), (7, 16))


def mlp_layout(hidden):
    """Two linear maps with a hidden width between them."""
    inputs, classes = Axis.fixed(3), Axis.fixed(4)
    return Layout(
        spaces={"hidden": Space("hidden", hidden, "hidden")},
        entries={
            "fc1.weight": Entry((Axis.writes("hidden"), inputs), "weight"),
            "fc1.bias": Entry((Axis.writes("hidden"),), "bias"),
            "fc2.weight": Entry((classes, Axis.reads("hidden")), "weight"),
            "fc2.bias": Entry((classes,), "bias"),
        },
    )


def mlp_forward(weights, inputs, activation):
    hidden = activation(functional.linear(inputs, weights["fc1.weight"], weights["fc1.bias"]))
    return functional.linear(hidden, weights["fc2.weight"], weights["fc2.bias"])


def assert_equal_answers(forward, parent, child):
    """The child's answers are the parent's, to the rounding of its dtype."""
    draw = torch.Generator().manual_seed(0)
    dtype = next(tensor.dtype for tensor in parent.values() if tensor.is_floating_point())
    inputs = torch.randn(9, 3, generator=draw, dtype=torch.float64).to(dtype)
    theirs, ours = forward(parent, inputs), forward(child, inputs)
    if dtype == torch.float32:
        wide, narrow = ({n: t.double() for n, t in state.items()} for state in (child, parent))
        exact = forward(narrow, inputs.double())
        assert_float32(lambda: forward(wide, inputs.double()), [theirs, ours], exact)
        return
    error = (ours - theirs).abs().max() / theirs.abs().max()
    assert error <= 1e-12, error


def net2net(parent, layout):
    draw = torch.Generator().manual_seed(5)
    return grow([parent], layout, operator="net2net", generator=draw).state_dict


def mlp_parent(dtype):
    draw = torch.Generator().manual_seed(1)
    layout = mlp_layout(MLP_WIDTHS[0])
    return {
        name: torch.randn(layout.shape(name), generator=draw, dtype=torch.float64).to(dtype)
        for name in layout.entries
    }


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("activation", [torch.relu, torch.tanh, functional.gelu])
def test_an_mlp_keeps_its_function_with_any_activation_at_a_width_that_does_not_divide(
    activation, dtype
):
    parent = mlp_parent(dtype)
    child = net2net(parent, mlp_layout(MLP_WIDTHS[1]))

    def forward(weights, inputs):
        return mlp_forward(weights, inputs, activation)

    assert_equal_answers(forward, parent, child)
    by_ratio = {
        **child,
        "fc2.weight": gathered(
            parent["fc2.weight"], 1, 1, copied_channels(parent, child, mlp_layout(13))["hidden"]
        )
        * (MLP_WIDTHS[0] / MLP_WIDTHS[1]),
    }
    with pytest.raises(AssertionError):  # twin: divided by the ratio of widths, not by the count
        assert_equal_answers(forward, parent, by_ratio)


def test_fused_maps_and_a_shared_stream_keep_their_function(toy):
    parent = toy.weights(*TOY_WIDTHS[0], seed=1)
    layout = toy.layout(*TOY_WIDTHS[1])
    child = net2net(parent, layout)
    assert_equal_answers(toy.forward, parent, child)
    wrong = {**child, "block.gate.bias": child["block.gate.bias"].roll(2)}
    with pytest.raises(AssertionError):  # twin: one writer of a space follows a map of its own
        assert_equal_answers(toy.forward, parent, wrong)


def summed_over_copies(tensor, dim, source, old):
    """Add up what all copies of each old channel contribute."""
    shape = list(tensor.shape)
    shape[dim] = old
    return torch.zeros(shape, dtype=tensor.dtype).index_add(dim, source, tensor)


def assert_column_sums(parent, child, layout, sources):
    """Over the copies of a channel the columns sum to its column, in every row of every reader."""
    sizes = layout.space_sizes(parent, "the parent")
    readers = 0
    for name, entry in layout.entries.items():
        if not entry.reads_space:
            continue
        found, expected = child[name], parent[name]
        for dim, axis in enumerate(entry.axes):
            if axis.mode == "reads":
                found = summed_over_copies(found, dim, sources[axis.space], sizes[axis.space])
            elif axis.mode == "writes":
                expected = gathered(expected, dim, axis.fused, sources[axis.space])
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12, msg=name)
        readers += 1
    assert readers > 1


def with_shares(parent, layout, sources, share):
    """A child whose copies get ``share(source, old)`` of their channel's column."""
    sizes = layout.space_sizes(parent, "the parent")
    child = widened_by_hand(parent, layout, sources)
    for name, entry in layout.entries.items():
        for dim, axis in enumerate(entry.axes):
            if axis.mode == "reads":
                source = sources[axis.space]
                counts = torch.bincount(source)[source]
                factor = counts * share(source, sizes[axis.space])
                child[name] = child[name] * along(factor, dim, child[name])
    return child


def family_or_toy(kind, toy):
    """Parent, the child that net2net makes of it, and the child's layout."""
    if kind != "toy":
        own = case(kind)
        return own.parent, own.grow("net2net"), own.layout
    parent = toy.weights(*TOY_WIDTHS[0], seed=1)
    layout = toy.layout(*TOY_WIDTHS[1])
    return parent, net2net(parent, layout), layout


@pytest.mark.parametrize("kind", [*FAMILIES, "toy"])
def test_columns_of_copies_sum_to_the_column_that_they_copy(toy, kind):
    parent, child, layout = family_or_toy(kind, toy)
    sources = copied_channels(parent, child, layout)
    assert_column_sums(parent, child, layout, sources)

    def by_count(source, old):
        return 1 / torch.bincount(source)[source]

    def undivided(source, old):
        return torch.ones(len(source))

    def by_ratio(source, old):
        return torch.full((len(source),), old / len(source))

    assert_column_sums(parent, with_shares(parent, layout, sources, by_count), layout, sources)
    for twin in (undivided, by_ratio):
        wrong = with_shares(parent, layout, sources, twin)
        with pytest.raises(AssertionError):
            assert_column_sums(parent, wrong, layout, sources)


@pytest.mark.parametrize("family", FAMILIES)
def test_old_channels_come_first_and_every_new_one_copies_one_of_them(family):
    own = case(family)
    sources = copied_channels(own.parent, own.grow("net2net"), own.layout)
    for name, old in own.sizes().items():
        assert sources[name][:old].tolist() == list(range(old))
        unit = own.layout.spaces[name].unit
        heads = sources[name].view(-1, unit)
        assert torch.equal(heads, heads[:, :1] + torch.arange(unit)), f"{name}: broken heads"


@pytest.mark.parametrize("family", FAMILIES)
def test_copies_get_equal_gradients_under_equal_shares_and_different_ones_under_unequal(family):
    """In training, in every tensor; each check is the other's twin."""
    own = case(family)
    child = own.grow("net2net")
    sources = copied_channels(own.parent, child, own.layout)
    equal = widened_by_hand(own.parent, own.layout, sources)
    assert_same_function(own, equal)
    assert_copies_stay_alike(own, equal, sources)
    assert_copies_part(own, child, sources, steps=0)
    with pytest.raises(AssertionError):
        assert_copies_stay_alike(own, child, sources)
    with pytest.raises(AssertionError):
        assert_copies_part(own, equal, sources, steps=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_two_copies_share_a_column_equally(family):
    own = case(family)
    child = own.grow("net2net")
    sources = copied_channels(own.parent, child, own.layout)
    equal = widened_by_hand(own.parent, own.layout, sources)
    for name in (n for n, entry in own.layout.entries.items() if entry.reads_space):
        ratio = (child[name] / equal[name]).flatten(1)
        assert ratio.min() > 0 and ratio.std() > 0.05, name
