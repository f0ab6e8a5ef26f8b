"""A layout infers a parent's widths and names what does not fit."""

import dataclasses

import pytest
import torch

from mmrbdc.growth import Axis, Entry, GrowthError, Layout, Space


def test_shapes_follow_the_spaces(toy):
    layout = toy.layout(stream=6, hidden=8)
    assert layout.shape("block.gate.weight") == (16, 6)
    assert layout.shape("head.bias") == (5,)
    assert layout.shape("block.steps") == ()


@pytest.mark.parametrize(("stream", "hidden"), [(6, 8), (1, 2), (7, 2)])
def test_sizes_of_a_parent_are_inferred(toy, stream, hidden):
    layout = toy.layout(stream=6, hidden=8)
    sizes = layout.space_sizes(toy.weights(stream, hidden, seed=0), "parent 0")
    assert sizes == {"stream": stream, "hidden": hidden}


def error_of(layout, weights) -> str:
    with pytest.raises(GrowthError) as caught:
        layout.space_sizes(weights, "a.pth")
    return str(caught.value)


def test_missing_tensor(toy):
    weights = toy.weights(6, 8, 0)
    del weights["head.bias"]
    message = error_of(toy.layout(6, 8), weights)
    assert "a.pth" in message and "1 missing ('head.bias')" in message


def test_extra_tensor(toy):
    weights = {**toy.weights(6, 8, 0), "head.scale": torch.ones(1)}
    message = error_of(toy.layout(6, 8), weights)
    assert "1 that the child does not have ('head.scale')" in message


def test_a_whole_block_missing_is_named(toy):
    weights = {k: v for k, v in toy.weights(6, 8, 0).items() if not k.startswith("block.")}
    assert "no tensor of block 0 is there: is the parent less deep?" in error_of(
        toy.layout(6, 8), weights
    )


def test_a_file_of_something_else_is_named(toy):
    message = error_of(toy.layout(6, 8), {"encoder.weight": torch.ones(3)})
    assert "is it another family, or another library's file?" in message


def test_another_fixed_axis_names_both_shapes_and_the_meaning(toy):
    weights = toy.weights(6, 8, 0)
    weights["head.weight"] = torch.zeros(7, 6)
    message = error_of(toy.layout(12, 16), weights)
    assert "'head.weight' has shape (7, 6), the child's has (5, 12)" in message
    assert "the number of classes is 7 here and 5 in the child" in message


def test_another_number_of_dimensions(toy):
    weights = toy.weights(6, 8, 0)
    weights["embed.weight"] = torch.zeros(6, 3, 1)
    assert "number of dimensions differs" in error_of(toy.layout(6, 8), weights)


def test_tensors_that_disagree_about_a_space(toy):
    weights = toy.weights(6, 8, 0)
    weights["head.weight"] = torch.zeros(5, 4)
    message = error_of(toy.layout(6, 8), weights)
    assert "space 'stream' 4 wide, but 'token' with shape (1, 6) makes it 6" in message


def test_a_size_that_is_no_multiple_of_the_unit(toy):
    weights = toy.weights(6, 8, 0)
    weights["block.gate.weight"] = torch.zeros(10, 6)
    message = error_of(toy.layout(6, 8), weights)
    assert "10 is not a multiple of 2 x 2" in message and "head size" in message


def test_an_entry_of_an_unknown_space_is_refused():
    with pytest.raises(GrowthError, match="names the space 'streem'"):
        Layout({}, {"weight": Entry((Axis.writes("streem"),), "weight")})


@pytest.mark.parametrize(("size", "unit"), [(0, 1), (-4, 1), (6, 4), (4, 0)])
def test_impossible_spaces_are_refused(size, unit):
    with pytest.raises(GrowthError, match="must be positive"):
        Space("heads", size, "heads", unit=unit)


def test_spaces_and_axes_cannot_be_changed():
    for thing in (Space("s", 4, "stream"), Axis.reads("s"), Entry((), "counter")):
        field = dataclasses.fields(thing)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, field, None)
