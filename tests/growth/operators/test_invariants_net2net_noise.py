"""Net2Net with noise: old channels untouched, noise of 5 % on new ones alone, copies parted."""

import math

import pytest
import torch

from tests.growth.invariants import (
    FAMILIES,
    STEPS,
    along,
    assert_copies_part,
    assert_copies_stay_alike,
    case,
    copied_channels,
    gathered,
    widened_by_hand,
)

pytestmark = pytest.mark.numeric

OPERATOR = "net2net-noise"
STATED = 0.05
"""Standard deviation of the noise over that of the tensor."""


@pytest.fixture(params=FAMILIES)
def own(request):
    """A parent and its child's layout."""
    return case(request.param)


def sources_of(own, child):
    return copied_channels(own.parent, child, own.layout)


def old_rows(own, name, child):
    """The part of a child's tensor that makes the parent's channels, map by map."""
    tensor = child[name]
    for dim, axis in enumerate(own.layout.entries[name].axes):
        if axis.mode == "writes":
            tensor = gathered(tensor, dim, axis.fused, torch.arange(own.sizes()[axis.space]))
    return tensor


def assert_old_channels_untouched(own, child):
    """What makes an old channel is the parent's; what reads it is its equal share, exactly."""
    sources = sources_of(own, child)
    for name, entry in own.layout.entries.items():
        expected = own.parent[name]
        for dim, axis in enumerate(entry.axes):
            if axis.mode == "reads":
                source = sources[axis.space]
                expected = gathered(expected, dim, axis.fused, source)
                expected = expected / along(torch.bincount(source)[source], dim, expected)
        torch.testing.assert_close(
            old_rows(own, name, child), expected, rtol=1e-14, atol=0, msg=name
        )


def noise_of(own, child):
    """By tensor: what was added to the child of equal shares, and that child's tensor."""
    plain = widened_by_hand(own.parent, own.layout, sources_of(own, child))
    return {name: (child[name] - plain[name], plain[name]) for name in child}


def new_rows(own, name, tensor):
    """The numbers that make new channels; none of a tensor that makes no channels."""
    for dim, axis in enumerate(own.layout.entries[name].axes):
        if axis.mode == "writes":
            parts = tensor.movedim(dim, 0).unflatten(0, (axis.fused, -1))
            return parts[:, own.sizes()[axis.space] :]
    return tensor.new_empty(0)


def assert_stated_noise(own, child):
    """5 % of each weight's standard deviation in its new rows, nothing anywhere else."""
    pooled, noisy = [], 0
    for name, (noise, plain) in noise_of(own, child).items():
        ours = new_rows(own, name, noise)
        if own.layout.entries[name].role != "weight" or not ours.numel():
            assert noise.abs().max() <= 1e-14 * plain.abs().max(), name
            continue
        found = (ours / plain.std(correction=0)).flatten()
        assert found.count_nonzero() == found.numel(), name
        deviation = found.square().mean().sqrt() / STATED - 1
        assert abs(deviation) < 5 / math.sqrt(2 * found.numel()), (name, deviation)
        pooled.append(found)
        noisy += 1
    pooled = torch.cat(pooled)
    assert noisy > 5 and len(pooled) > 5000
    assert pooled.square().mean().sqrt() == pytest.approx(STATED, rel=0.03)
    assert abs(pooled.mean()) < 4 * STATED / math.sqrt(len(pooled))


def test_old_channels_are_untouched(own):
    child = own.grow(OPERATOR)
    assert_old_channels_untouched(own, child)
    noise = {name: new for name, (new, _) in noise_of(own, child).items()}
    weights = [n for n in noise if own.layout.entries[n].role == "weight"]
    for name in (weights[0], weights[1], weights[-2]):
        turned = noise[name].flip(0)  # twin: the noise of the new rows on the old ones
        assert turned.count_nonzero() > 0
        with pytest.raises(AssertionError):
            assert_old_channels_untouched(own, {**child, name: child[name] + turned})


def test_noise_has_5_percent_of_the_standard_deviation_and_lies_on_new_channels_alone(own):
    child = own.grow(OPERATOR)
    assert_stated_noise(own, child)
    measured = noise_of(own, child)
    stronger = {n: child[n] + 0.2 * noise for n, (noise, _) in measured.items()}
    silent = {n: plain for n, (_, plain) in measured.items()}
    readers = [n for n, e in own.layout.entries.items() if e.reads_space and not e.writes_space]
    on_the_head = {**child, readers[0]: child[readers[0]] + 1e-6}
    for twin in (stronger, silent, on_the_head):
        with pytest.raises(AssertionError):
            assert_stated_noise(own, twin)


def test_noise_parts_the_copies_that_equal_shares_leave_alike(own):
    child = own.grow(OPERATOR)
    sources = sources_of(own, child)
    assert_copies_part(own, child, sources, STEPS)
    silent = widened_by_hand(own.parent, own.layout, sources)
    assert_copies_stay_alike(own, silent, sources)
    with pytest.raises(AssertionError):  # twin
        assert_copies_part(own, silent, sources, STEPS)


def test_another_seed_draws_other_noise(own):
    children = [own.grow(OPERATOR, seed) for seed in (5, 6)]
    name = next(n for n, e in own.layout.entries.items() if e.role == "weight" and e.writes_space)
    assert not torch.equal(*(child[name] for child in children))
