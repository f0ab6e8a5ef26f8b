"""Reinit: the child is what the recipe initialises, and nothing of its parents is in it."""

import math

import pytest
import torch

from mmrbdc.engine.junctions.growth_context import TrainingContext
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import grow
from tests.engine.tiny_runs import staged
from tests.families.conftest import Zoo
from tests.growth.invariants import FAMILIES

pytestmark = pytest.mark.numeric


class Recipe:
    """A tiny recipe: the child's config, parents of half its width, what initialises the child."""

    def __init__(self, images, family):
        config = staged(images, "unused", family)
        self.model_cfg = dict(config.model, train_cfg=None)
        architecture = architecture_from_config(self.model_cfg)
        self.layout = architecture.layout()
        narrow = architecture.scaled(1 / 2).classifier_config(self.model_cfg)
        self.parents = [Zoo.build(narrow, seed).state_dict() for seed in (1, 2)]
        self.context = TrainingContext(config, seed=1)
        self.other_context = TrainingContext(config, seed=2)

    def grow(self, operator="reinit", parent=0, context=None):
        return grow(
            [self.parents[parent]],
            self.layout,
            operator=operator,
            generator=torch.Generator().manual_seed(5),
            context=context or self.context,
        ).state_dict

    def independent(self, initialised=True):
        """A wide model built and initialised by MMPretrain alone, from a seed of its own."""
        torch.manual_seed(123)
        model = Zoo.build(self.model_cfg)
        if initialised:
            model.init_weights()
        return model.state_dict()


@pytest.fixture(scope="module", params=FAMILIES)
def recipe(request, images):
    return Recipe(images, request.param)


def assert_initialised_alike(child, reference):
    """Constants are equal; drawn tensors have one mean and one deviation, to sampling error."""
    assert child.keys() == reference.keys()
    drawn = 0
    for name, expected in reference.items():
        found = child[name]
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype), name
        if not found.is_floating_point() or expected.min() == expected.max():
            assert torch.equal(found, expected), name
            continue
        drawn += 1
        found, expected = found.double(), expected.double()
        deviation, error = expected.std(), 6 / math.sqrt(expected.numel())
        assert abs(found.std() / deviation - 1) < error, name
        assert abs(found.mean() - expected.mean()) < 2 * error * deviation, name
        assert not torch.equal(found, expected), name
    assert drawn > 5


def assert_nothing_of_the_parent(child, parent):
    """No number of the parent is found again in the tensor of its name."""
    for name, old in parent.items():
        if old.is_floating_point():
            again = torch.isin(old, child[name]).double().mean()
            assert again < 0.02, (name, again)


def test_the_child_is_distributed_as_an_independently_initialised_model(recipe):
    assert_initialised_alike(recipe.grow(), recipe.independent())
    bare = recipe.independent(initialised=False)
    for twin in (bare, recipe.grow("net2net"), recipe.grow("tiling")):
        with pytest.raises(AssertionError):
            assert_initialised_alike(twin, recipe.independent())


def test_nothing_of_the_parent_is_in_the_child(recipe):
    child, parent = recipe.grow(), recipe.parents[0]
    assert_nothing_of_the_parent(child, parent)
    with pytest.raises(AssertionError):
        assert_nothing_of_the_parent(recipe.grow("self-coupling"), parent)
    for name, old in parent.items():
        if old.is_floating_point() and recipe.layout.entries[name].writes_space:
            warm = child[name].clone()  # twin: the parent in one tensor's corner
            warm[tuple(slice(length) for length in old.shape)] = old
            with pytest.raises(AssertionError):
                assert_nothing_of_the_parent({name: warm}, {name: old})


def test_another_parent_gives_the_same_child(recipe):
    one, other = (recipe.grow(parent=i) for i in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    one, other = (recipe.grow("net2net", parent=i) for i in range(2))  # twin
    assert not any(torch.equal(one[n], other[n]) for n in one if one[n].is_floating_point())


def test_another_seed_gives_another_child(recipe):
    one, other = recipe.grow(), recipe.grow(context=recipe.other_context)
    assert_initialised_alike(one, other)
