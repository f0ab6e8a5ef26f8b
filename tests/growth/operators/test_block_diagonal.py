"""The coupling rule: blocks where they belong, zeros elsewhere, logits the mean of the parents'."""

import dataclasses

import pytest
import torch

from mmrbdc.growth import Axis, GrowthError
from mmrbdc.growth.operators.block_diagonal import describe, grow

pytestmark = pytest.mark.numeric

WIDTHS = [((4, 6), (4, 6)), ((4, 6), (3, 2)), ((2, 4), (4, 2), (1, 6))]
"""(stream, hidden) of each parent; equal, unequal, three of them."""


def couple(toy, widths, layout=None):
    parents = [toy.weights(*width, seed=i + 1) for i, width in enumerate(widths)]
    sums = [sum(column) for column in zip(*widths, strict=True)]
    return parents, grow(parents, layout or toy.layout(*sums))


def assert_mean_of_parents(toy, parents, child, tolerance=1e-10):
    images = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mean = torch.stack([toy.forward(parent, images) for parent in parents]).mean(0)
    error = (toy.forward(child, images) - mean).abs().max() / mean.abs().max()
    assert error < tolerance, error


@pytest.mark.parametrize("widths", WIDTHS)
def test_logits_are_the_mean_of_the_parents(toy, widths):
    parents, child = couple(toy, widths)
    assert_mean_of_parents(toy, parents, child)


def test_wrong_on_purpose_fused_maps_as_one_block(toy):
    """Each parent's two fused maps kept together as one block: right shapes, wrong maps."""
    parents, child = couple(toy, WIDTHS[0])
    for name in ("block.gate.weight", "block.gate.bias"):
        parts = [parent[name] for parent in parents]
        wrong = torch.block_diag(*parts) if parts[0].ndim == 2 else torch.cat(parts)
        assert wrong.shape == child[name].shape
        child[name] = wrong
    with pytest.raises(AssertionError):
        assert_mean_of_parents(toy, parents, child)


@pytest.mark.parametrize("name", ["head.weight", "head.bias"])
def test_wrong_on_purpose_head_not_divided(toy, name):
    parents, child = couple(toy, WIDTHS[0])
    child[name] = child[name] * len(parents)
    with pytest.raises(AssertionError):
        assert_mean_of_parents(toy, parents, child)


def test_wrong_on_purpose_swapped_reader(toy):
    parents, child = couple(toy, WIDTHS[0])
    child["block.out.weight"] = child["block.out.weight"].roll(6, dims=1)
    with pytest.raises(AssertionError):
        assert_mean_of_parents(toy, parents, child)


def test_every_number_of_a_fused_tensor_by_hand(toy):
    """Two fused maps, stream 1 + 2, hidden 2 + 4: the child's rows are left | right."""
    parents, child = couple(toy, [(1, 2), (2, 4)])
    gate = child["block.gate.weight"]
    first, second = (parent["block.gate.weight"] for parent in parents)
    assert gate.shape == (12, 3)
    expected = torch.zeros(12, 3, dtype=torch.float64)
    expected[0:2, 0:1], expected[2:6, 1:3] = first[:2], second[:4]
    expected[6:8, 0:1], expected[8:12, 1:3] = first[2:], second[4:]
    assert torch.equal(gate, expected)


def test_tensors_without_two_widths(toy):
    parents, child = couple(toy, [(1, 2), (2, 4)])
    first, second = parents
    assert torch.equal(child["token"], torch.cat([first["token"], second["token"]], 1))
    assert torch.equal(
        child["head.weight"], torch.cat([first["head.weight"], second["head.weight"]], 1) / 2
    )
    assert torch.allclose(child["head.bias"], (first["head.bias"] + second["head.bias"]) / 2)
    assert child["block.steps"] == first["block.steps"] and child["block.steps"].ndim == 0


def test_off_diagonal_blocks_are_exactly_zero(toy):
    parents, child = couple(toy, WIDTHS[2])
    sums = (sum(w[0] for w in WIDTHS[2]), sum(w[1] for w in WIDTHS[2]))
    layout = toy.layout(*sums)
    sizes = [layout.space_sizes(parent, "") for parent in parents]
    for name, placement in describe(layout, sizes).items():
        if placement.rule == "placed":
            rest = child[name].clone()
            for block in placement.blocks:
                assert rest[block.slices].count_nonzero() == rest[block.slices].numel()
                rest[block.slices] = 0
            assert rest.count_nonzero() == 0


def test_parents_are_left_alone_and_not_shared(toy):
    parents, child = couple(toy, WIDTHS[0])
    before = [{name: tensor.clone() for name, tensor in parent.items()} for parent in parents]
    for tensor in child.values():
        tensor.zero_()
    for parent, kept in zip(parents, before, strict=True):
        assert all(torch.equal(parent[name], kept[name]) for name in kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtype_is_kept(toy, dtype):
    parents, _ = couple(toy, WIDTHS[0])
    parents = [{k: v if v.ndim == 0 else v.to(dtype) for k, v in p.items()} for p in parents]
    child = grow(parents, toy.layout(8, 12))
    assert {child[name].dtype for name in child} == {dtype, torch.int64}


def test_widths_that_do_not_sum_to_the_childs(toy):
    with pytest.raises(GrowthError, match=r"'stream' is 9 wide .* 4 \+ 4 = 8"):
        couple(toy, WIDTHS[0], toy.layout(9, 12))


def test_one_parent_is_no_coupling(toy):
    with pytest.raises(GrowthError, match="two or more"):
        couple(toy, [(4, 6)])


def test_a_reader_alone_is_divided_also_when_fused(toy):
    layout = toy.layout(8, 12)
    entry = dataclasses.replace(
        layout.entries["head.weight"], axes=(Axis.fixed(5), Axis.reads("stream", fused=2))
    )
    layout.entries["head.weight"] = entry
    sizes = [{"stream": 4, "hidden": 6}] * 2
    placement = describe(layout, sizes)["head.weight"]
    assert placement.rule == "placed/k"
    assert [block.ranges[1] for block in placement.blocks] == [(0, 4), (8, 12), (4, 8), (12, 16)]
