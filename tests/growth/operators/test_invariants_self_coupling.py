"""Self-coupling: twins that the function gives away, and copies that training keeps alike."""

import pytest
import torch

from tests.growth.invariants import (
    FAMILIES,
    assert_copies_part,
    assert_copies_stay_alike,
    assert_same_function,
    case,
    gap,
)

pytestmark = pytest.mark.numeric

QKV = "backbone.layers.1.attn.qkv"
HEAD = {"deit": "head.layers.head.weight", "resnet": "head.fc.weight"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("ratio", "divisor"), [(2, 1), (4, 1), (4, 2)])
def test_twin_a_head_that_is_not_divided_by_the_number_of_copies(family, ratio, divisor):
    own = case(family, ratio)
    child = own.grow("self-coupling")
    assert_same_function(own, child)
    name = HEAD[family]
    wrong = {**child, name: torch.cat([own.parent[name]] * ratio, 1) / divisor}
    assert torch.equal(wrong[name] * divisor / ratio, child[name])
    with pytest.raises(AssertionError):
        assert_same_function(own, wrong)
    assert gap(own, wrong) > 0.1


@pytest.mark.parametrize("leaves", [("weight",), ("bias",), ("weight", "bias")])
def test_twin_queries_keys_and_values_of_a_copy_kept_together(leaves):
    """Rows q k v q k v, where q q k k v v is right: equal shapes, wrong maps."""
    own = case("deit")
    child = own.grow("self-coupling")
    assert_same_function(own, child)
    right = [
        torch.block_diag(part, part) for part in own.parent[f"{QKV}.weight"].chunk(3)
    ]  # by hand
    assert torch.equal(child[f"{QKV}.weight"], torch.cat(right))
    wrong = dict(child)
    for leaf in leaves:
        old = own.parent[f"{QKV}.{leaf}"]
        wrong[f"{QKV}.{leaf}"] = torch.block_diag(old, old) if old.ndim == 2 else old.repeat(2)
    assert all(wrong[name].shape == child[name].shape for name in child)
    with pytest.raises(AssertionError):
        assert_same_function(own, wrong)
    assert gap(own, wrong) > 1e-3


def test_twin_channels_of_the_copies_interleaved_in_one_convolution():
    own = case("resnet")
    child = own.grow("self-coupling")
    name = "backbone.layer2.1.conv2.weight"
    mixed = torch.arange(len(child[name])).view(2, -1).T.flatten()
    wrong = {**child, name: child[name][mixed]}
    with pytest.raises(AssertionError):
        assert_same_function(own, wrong)
    assert gap(own, wrong) > 1e-3


def test_copies_of_a_resnet_get_equal_gradients_for_ever():
    own = case("resnet")
    child = own.grow("self-coupling")
    assert_copies_stay_alike(own, child, own.tiled_sources())
    name = HEAD["resnet"]
    shares = torch.tensor([1.5, 0.5], dtype=torch.float64).repeat_interleave(
        child[name].shape[1] // 2
    )
    wrong = {**child, name: child[name] * shares}
    assert_same_function(own, wrong)
    with pytest.raises(AssertionError):  # twin: one copy has the larger share of the logits
        assert_copies_stay_alike(own, wrong, own.tiled_sources())
    assert_copies_part(own, wrong, own.tiled_sources(), steps=0)
