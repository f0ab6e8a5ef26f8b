"""Resized position tables: MMPretrain's own interpolation, tokens kept."""

import pytest
import torch
from mmpretrain.models.utils import resize_pos_embed

from mmrbdc.growth import Axis, Entry, GrowthError, Layout, Space, resize_positions
from mmrbdc.growth.parents.positions import resize_table
from tests.numerics import assert_float32

pytestmark = pytest.mark.numeric

GRIDS = [((3, 3), (4, 4)), ((7, 7), (14, 14)), ((2, 5), (3, 4)), ((4, 4), (2, 2))]


def table(grid, tokens, channels=6, seed=0, dtype=torch.float32):
    draw = torch.Generator().manual_seed(seed)
    length = tokens + grid[0] * grid[1]
    return torch.randn(1, length, channels, generator=draw, dtype=dtype)


@pytest.mark.parametrize(("source", "target"), GRIDS)
@pytest.mark.parametrize("tokens", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_parity_with_mmpretrain(source, target, tokens, dtype):
    ours = resize_table(table(source, tokens).to(dtype), source, target)
    theirs = resize_pos_embed(
        table(source, tokens).to(dtype), source, target, num_extra_tokens=tokens
    )
    assert ours.dtype == dtype and ours.shape == theirs.shape
    exact = table(source, tokens).to(dtype).double()
    if dtype == torch.float32:
        assert_float32(lambda: resize_table(exact, source, target), [ours, theirs])
    else:
        # Of 16 terms each; a bfloat16 table is resized in float32 and rounded once, perhaps to a
        # neighbour.
        terms = 16 * exact.abs().max().item() * torch.finfo(torch.float32).eps
        close = dict(rtol=1e-10, atol=1e-10)
        if dtype == torch.bfloat16:
            close = dict(rtol=torch.finfo(dtype).eps, atol=terms)
        assert torch.allclose(ours, theirs, **close)
        assert torch.allclose(ours.double(), resize_table(exact, source, target), **close)


@pytest.mark.parametrize(("source", "target"), GRIDS)
def test_twin_rows_and_columns_swapped(source, target):
    """Or a token taken for a patch: neither is what MMPretrain does."""
    theirs = resize_pos_embed(table(source, 1), source, target, num_extra_tokens=1)
    grid = table(source, 1)[:, 1:].unflatten(1, source).transpose(1, 2).flatten(1, 2)
    swapped = torch.cat([table(source, 1)[:, :1], grid], 1)
    assert not torch.allclose(resize_table(swapped, source, target), theirs, atol=1e-2)


def test_tokens_are_kept_and_the_same_grid_is_the_identity():
    old = table((3, 3), 2)
    assert torch.equal(resize_table(old, (3, 3), (4, 4))[:, :2], old[:, :2])
    assert torch.equal(resize_table(old, (3, 3), (3, 3)), old)


def test_coupling_and_resizing_commute():
    """Channels do not mix: it does not matter which comes first."""
    one, two = (table((3, 3), 1, seed=seed, dtype=torch.float64) for seed in (1, 2))
    resized = [resize_table(t, (3, 3), (5, 5)) for t in (one, two)]
    joined = resize_table(torch.cat((one, two), 2), (3, 3), (5, 5))
    assert torch.allclose(torch.cat(resized, 2), joined, rtol=1e-10, atol=1e-10)


def layout(grid):
    stream, one = Axis.writes("stream"), Axis.fixed(1)
    tokens = Axis.fixed(1 + grid[0] * grid[1], "the number of tokens")
    return Layout(
        {"stream": Space("stream", 6, "stream")},
        {
            "token": Entry((one, one, stream), "token"),
            "positions": Entry((one, tokens, stream), "position"),
            "scale": Entry((stream,), "scale"),
        },
    )


def test_only_position_tables_change():
    state = {"token": torch.ones(1, 1, 6), "positions": table((3, 3), 1), "scale": torch.ones(6)}
    before = state["positions"].clone()
    resized = resize_positions(state, layout((3, 3)), (3, 3), (4, 4))
    assert torch.equal(state["positions"], before)
    assert resized["token"] is state["token"] and resized["scale"] is state["scale"]
    assert torch.equal(resized["positions"], resize_table(before, (3, 3), (4, 4)))
    layout((4, 4)).space_sizes(resized, "it")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"positions": table((4, 4), 1)}, r"a\.pth: 'positions' is \(1, 17, 6\), expected 10"),
        ({}, "'positions' is missing"),
    ],
)
def test_refuses_a_table_of_another_grid(state, words):
    with pytest.raises(GrowthError, match=words):
        resize_positions(state, layout((3, 3)), (3, 3), (4, 4), "a.pth")


@pytest.mark.parametrize("wrong", [torch.ones(1, 8, 6), torch.ones(9, 6)])
def test_refuses_a_table_shorter_than_its_grid(wrong):
    with pytest.raises(GrowthError, match=r"tokens \+ 9, channels"):
        resize_table(wrong, (3, 3), (4, 4))
