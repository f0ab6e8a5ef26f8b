"""Running an operator: what is refused, and what is checked afterwards."""

import dataclasses

import pytest
import torch

from mmrbdc.growth import OPERATORS, GrowthError, get_operator, grow
from mmrbdc.growth.operators import block_diagonal


def two_parents(toy):
    return [toy.weights(4, 6, seed) for seed in (1, 2)]


def test_the_operator_is_what_runs(toy):
    parents, layout = two_parents(toy), toy.layout(8, 12)
    result = grow(parents, layout)
    direct = block_diagonal.grow(parents, layout)
    assert result.state_dict.keys() == direct.keys() == layout.entries.keys()
    assert all(torch.equal(result.state_dict[name], direct[name]) for name in direct)


def test_equal_parents_are_refused_unless_allowed(toy):
    parent = toy.weights(4, 6, 1)
    copy = {name: tensor.clone() for name, tensor in parent.items()}
    other = toy.weights(4, 6, 2)
    with pytest.raises(GrowthError, match=r"c\.pth and a\.pth hold the same weights"):
        grow([other, parent, copy], toy.layout(12, 18), names=["b.pth", "c.pth", "a.pth"])
    result = grow([other, parent, copy], toy.layout(12, 18), allow_equal=True)
    assert result.state_dict["token"].shape == (1, 12)


def test_parents_that_differ_in_one_number_are_two_parents(toy):
    parent = toy.weights(4, 6, 1)
    copy = {name: tensor.clone() for name, tensor in parent.items()}
    copy["head.bias"][0] += 1
    grow([parent, copy], toy.layout(8, 12))


def test_parents_of_two_dtypes_are_refused(toy):
    parents = two_parents(toy)
    parents[1]["token"] = parents[1]["token"].float()
    with pytest.raises(GrowthError, match=r"'token' is torch\.float64 in parent 0"):
        grow(parents, toy.layout(8, 12))


def test_messages_call_parents_by_their_names(toy):
    parents = two_parents(toy)
    del parents[1]["token"]
    with pytest.raises(GrowthError, match=r"^b\.pth: "):
        grow(parents, toy.layout(8, 12), names=["a.pth", "b.pth"])


def test_unknown_operator():
    with pytest.raises(GrowthError, match=r"unknown growth operator 'magic'.*block-diagonal"):
        get_operator("magic")


def test_no_parents(toy):
    with pytest.raises(GrowthError, match="no parents"):
        grow([], toy.layout(8, 12))


@pytest.mark.parametrize("spoil", ["missing", "shape"])
def test_an_operator_that_makes_the_wrong_tensors_is_caught(toy, monkeypatch, spoil):
    def spoiled(parents, layout, **kwargs):
        child = block_diagonal.grow(parents, layout, **kwargs)
        token = child.pop("token")
        return child if spoil == "missing" else {**child, "token": token[0]}

    operator = dataclasses.replace(get_operator("block-diagonal"), grow=spoiled)
    monkeypatch.setitem(OPERATORS, "spoiled", operator)
    with pytest.raises(GrowthError, match="operator 'spoiled' made 'token'"):
        grow(two_parents(toy), toy.layout(8, 12), operator="spoiled")
