"""Averaging: every tensor of the child is the tiled mean of the parents, statistics included."""

from dataclasses import replace

import pytest
import torch

from mmrbdc.growth import get_operator
from tests.growth.invariants import FAMILIES, case, is_map, reading_dim, rms, widened_by_hand

pytestmark = pytest.mark.numeric

NOISE = 10**-0.5
"""Of the tiles, in amplitude: tiling's -10 dB."""

SEEDS = (1, 2, 3)
"""Three parents and twice their width: a count is not taken for a ratio."""


@pytest.fixture(params=FAMILIES)
def own(request):
    """Three parents whose counters differ too, and their child's layout."""
    made = case(request.param, seeds=SEEDS)
    counters = [name for name, entry in made.layout.entries.items() if entry.role == "counter"]
    parents = tuple(
        {**parent, **{name: torch.tensor(10 + number) for name in counters}}
        for number, parent in enumerate(made.parents)
    )
    return replace(made, parents=parents)


def averaged(own):
    return own.grow("averaging")


def mean_of(own):
    """Every tensor's mean over the parents; counters are the first parent's."""
    first, second, third = own.parents
    return {
        name: first[name]
        if own.layout.entries[name].role == "counter"
        else (first[name] + second[name] + third[name]) / 3
        for name in first
    }


def tiled(own, state):
    """A child of one model, as averaging makes it of the mean, noise included."""
    draw = torch.Generator().manual_seed(5)
    return get_operator("tiling").grow([state], own.layout, generator=draw)


def tiled_mean(own):
    return widened_by_hand(mean_of(own), own.layout, own.tiled_sources())


def assert_tiles(own, child, expected):
    """Bare tiles; maps have noise of the stated power that cancels between tiles side by side."""
    assert child.keys() <= expected.keys()
    for name, found in child.items():
        tiles = expected[name]
        if is_map(own.layout, name):
            assert rms(found - tiles) == pytest.approx(NOISE * rms(tiles), rel=1e-6), name
            dim = reading_dim(own.layout, name)
            found, tiles = (sum(tensor.chunk(own.ratio, dim)) for tensor in (found, tiles))
        torch.testing.assert_close(found, tiles, rtol=1e-12, atol=1e-12, msg=name)


def test_every_tensor_is_the_tiled_mean_of_the_parents(own):
    child = averaged(own)
    assert child.keys() == own.layout.entries.keys()
    assert_tiles(own, child, tiled_mean(own))
    assert_tiles(own, tiled(own, mean_of(own)), tiled_mean(own))


def test_running_statistics_are_the_repeated_mean_by_hand():
    own = case("resnet", seeds=SEEDS)
    child = averaged(own)
    names = [name for name in child if name.endswith(("running_mean", "running_var"))]
    assert len(names) > 10
    for name in names:
        mean = torch.stack([parent[name] for parent in own.parents]).mean(0)
        torch.testing.assert_close(child[name], mean.repeat(2), rtol=1e-12, atol=0)


def test_twin_one_parent_or_their_sum_in_place_of_the_mean(own):
    first, second, _ = own.parents
    total = {n: t if t.ndim == 0 else 3 * t for n, t in mean_of(own).items()}
    two = {n: t if t.ndim == 0 else (t + second[n]) / 2 for n, t in first.items()}
    for wrong in (first, two, total):
        with pytest.raises(AssertionError):
            assert_tiles(own, tiled(own, wrong), tiled_mean(own))


def test_twin_any_one_tensor_taken_from_a_single_parent(own):
    """Statistics and counters among them: no tensor escapes the check."""
    first, last = (tiled(own, own.parents[i]) for i in (0, -1))
    expected = tiled_mean(own)
    for name, entry in own.layout.entries.items():
        wrong = last if entry.role == "counter" else first
        with pytest.raises(AssertionError):
            assert_tiles(own, {name: wrong[name]}, expected)
