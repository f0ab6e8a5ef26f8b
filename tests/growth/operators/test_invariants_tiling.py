"""Tiling: k x k tiles of W / k, noise of -10 dB that cancels between tiles and parts the copies."""

import math

import pytest
import torch

from tests.growth.invariants import (
    FAMILIES,
    STEPS,
    assert_copies_part,
    assert_copies_stay_alike,
    assert_same_function,
    case,
    gap,
    is_map,
    reading_dim,
    rms,
    widened_by_hand,
)

pytestmark = pytest.mark.numeric

STATED = -10.0
"""Decibels: power of the noise over that of the tile."""

CASES = [(family, ratio) for family in FAMILIES for ratio in (2, 4)]


@pytest.fixture(params=CASES, ids=lambda pair: f"{pair[0]}-x{pair[1]}")
def own(request):
    """A parent and its child's layout."""
    return case(*request.param)


def tiles_of(own):
    """The child without noise."""
    return widened_by_hand(own.parent, own.layout, own.tiled_sources())


def noise_of(own, child):
    """By tensor that maps space to space: what was added to its tiles."""
    tiles = tiles_of(own)
    return {name: child[name] - tiles[name] for name in child if is_map(own.layout, name)}


def with_noise(own, make):
    """Tiles with other noise: ``make(name, noise)`` of the operator's."""
    noise, tiles = noise_of(own, own.grow("tiling")), tiles_of(own)
    return {**tiles, **{name: tiles[name] + make(name, old) for name, old in noise.items()}}


def independent(own):
    """Noise of the stated power that is another in every tile, so that none cancels."""
    draw = torch.Generator().manual_seed(9)

    def make(name, noise):
        drawn = torch.randn(noise.shape, generator=draw, dtype=noise.dtype)
        return drawn * rms(noise) / rms(drawn)

    return with_noise(own, make)


def assert_stated_power(own, child):
    tiles = tiles_of(own)
    found = noise_of(own, child)
    assert len(found) > 5
    for name, noise in found.items():
        decibels = 20 * math.log10(max(rms(noise), 1e-300) / rms(tiles[name]))
        assert decibels == pytest.approx(STATED, abs=1e-6), (name, decibels)


def assert_noise_cancels_between_tiles(own, child):
    """Tiles side by side sum to zero: +N and -N where there are two."""
    for name, noise in noise_of(own, child).items():
        tiles = noise.chunk(own.ratio, reading_dim(own.layout, name))
        assert min(rms(tile) for tile in tiles) > 0.1 * rms(noise), name
        assert rms(sum(tiles)) < 1e-12 * rms(noise), name
        if own.ratio == 2:
            torch.testing.assert_close(tiles[0], -tiles[1], rtol=1e-9, atol=1e-12)


def assert_rows_have_noise_of_their_own(own, child):
    """Tiles above each other differ: copies are told apart by what makes them."""
    for name, noise in noise_of(own, child).items():
        (dim, fused), *_ = (
            (dim, axis.fused)
            for dim, axis in enumerate(own.layout.entries[name].axes)
            if axis.mode == "writes"
        )
        for one_map in noise.chunk(fused, dim):
            first, *others = one_map.chunk(own.ratio, dim)
            assert all(rms(first - other) > 0.5 * rms(noise) for other in others), name


def assert_noise_on_maps_alone(own, child):
    """The classifier and all that only writes are the bare tiles, bit by bit."""
    for name, expected in tiles_of(own).items():
        if not is_map(own.layout, name):
            assert torch.equal(child[name], expected), name


def test_noise_has_the_stated_power(own):
    assert_stated_power(own, own.grow("tiling"))
    for factor in (0.0, 10**-0.5, 1.01):  # twins: none, -20 dB, a little more
        with pytest.raises(AssertionError):
            assert_stated_power(own, with_noise(own, lambda _, noise, f=factor: f * noise))


def test_noise_cancels_between_tiles_side_by_side(own):
    assert_noise_cancels_between_tiles(own, own.grow("tiling"))

    def same_sign(name, noise):
        first = noise.chunk(own.ratio, reading_dim(own.layout, name))[0]
        return torch.cat([first] * own.ratio, reading_dim(own.layout, name))

    for twin in (with_noise(own, same_sign), independent(own)):
        with pytest.raises(AssertionError):
            assert_noise_cancels_between_tiles(own, twin)


def test_tiles_above_each_other_have_noise_of_their_own(own):
    assert_rows_have_noise_of_their_own(own, own.grow("tiling"))

    def repeated(name, noise):
        maps = noise.chunk(own.layout.entries[name].axes[0].fused)
        return torch.cat([tile for one in maps for tile in [one.chunk(own.ratio)[0]] * own.ratio])

    twin = with_noise(own, repeated)
    assert_noise_cancels_between_tiles(own, twin)
    assert_same_function(own, twin)
    with pytest.raises(AssertionError):
        assert_rows_have_noise_of_their_own(own, twin)


def test_the_classifier_and_what_only_writes_get_no_noise(own):
    child = own.grow("tiling")
    assert_noise_on_maps_alone(own, child)
    (head,) = (
        name
        for name, entry in own.layout.entries.items()
        if entry.reads_space and not entry.writes_space
    )
    part = child[head].chunk(own.ratio, 1)[0]
    noise = torch.cat([part, -part, *[0 * part] * (own.ratio - 2)], 1) * 10 ** (STATED / 20)
    twin = {**child, head: child[head] + noise}
    assert_same_function(own, twin)  # it cancels: the function alone would not tell
    with pytest.raises(AssertionError):
        assert_noise_on_maps_alone(own, twin)


def test_twin_noise_of_the_stated_power_that_does_not_cancel(own):
    twin = independent(own)
    assert_stated_power(own, twin)
    with pytest.raises(AssertionError):
        assert_same_function(own, twin)
    assert gap(own, twin) > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_parts_the_copies_in_every_tensor(family):
    """At the first step not yet those in front of the classifier, whose copies it reads alike."""
    own = case(family)
    assert_copies_part(own, own.grow("tiling"), own.tiled_sources(), STEPS)
    tiles = tiles_of(own)
    assert_copies_stay_alike(own, tiles, own.tiled_sources())
    with pytest.raises(AssertionError):  # twin
        assert_copies_part(own, tiles, own.tiled_sources(), STEPS)
