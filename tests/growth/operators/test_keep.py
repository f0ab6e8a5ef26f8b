"""The operator for stages whose widths are alike."""

import pytest
import torch

from mmrbdc.growth import GrowthError, grow


def test_the_child_is_a_copy_of_its_parent(toy):
    parent = toy.weights(4, 6, seed=1)
    kept = {name: tensor.clone() for name, tensor in parent.items()}
    grown = grow([parent], toy.layout(4, 6), operator="keep")
    assert all(torch.equal(grown.state_dict[name], tensor) for name, tensor in kept.items())
    grown.state_dict["head.weight"].zero_()
    assert torch.equal(parent["head.weight"], kept["head.weight"])
    assert grown.report.between_parents == 0


@pytest.mark.parametrize("sizes, words", [((8, 6), "'stream' is 4 "), ((4, 8), "'hidden' is 6 ")])
def test_other_widths_are_refused(toy, sizes, words):
    with pytest.raises(GrowthError, match=words):
        grow([toy.weights(4, 6, seed=1)], toy.layout(*sizes), operator="keep")


def test_several_parents_are_refused(toy):
    with pytest.raises(GrowthError, match="got 2 parents; it keeps one"):
        parents = [toy.weights(4, 6, seed=seed) for seed in (1, 2)]
        grow(parents, toy.layout(4, 6), operator="keep")
