"""DeiT's windows and relative positions against attention written out with masks and matrices."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from mmrbdc.models.backbones.relative_positions import fitted_table
from mmrbdc.models.backbones.windows import WindowGrid, global_block_indices
from tests.numerics import assert_float32

pytestmark = pytest.mark.numeric

ARCH = dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)
SIZES = [(24, 24), (20, 28), (9, 40), (8, 4)]
"""Image sizes for patches of 4 px and windows of 3: full windows, ragged edges, less than one."""


def deit(seed=0, **options):
    """A DeiT of patch 4 in float64, every tensor random."""
    settings = dict(arch=ARCH, img_size=16, patch_size=4, window_size=3, with_cls_token=False)
    settings.update(options)
    settings.setdefault("global_blocks", [1, 3])
    backbone = MODELS.build(dict(type="mmrbdc.DeiT", **settings)).double().eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in backbone.parameters():
        parameter.data.normal_(0, 0.3, generator=generator)
    return backbone


def written_out(backbone, images, global_blocks, window, shift=0, swap_tables=False):
    """The map by full attention matrices, other windows masked; relative positions by index.

    ``shift`` moves the windows and ``swap_tables`` takes columns for rows: wrong on purpose.
    """
    tokens, (height, width) = backbone.patch_embed(images)
    side = backbone.patch_resolution
    table = backbone.pos_embed.transpose(1, 2).unflatten(2, side).float()
    table = F.interpolate(table, size=(height, width), mode="bicubic").double()
    x = tokens + table.flatten(2).transpose(1, 2)
    row = torch.arange(height).repeat_interleave(width)
    column = torch.arange(width).repeat(height)
    number = (row + shift) // window * (width + window) + (column + shift) // window
    same_window = number[:, None] == number[None, :]
    for i, layer in enumerate(backbone.layers):
        attn = layer.attn
        q, k, v = (
            part.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)
            for part in attn.qkv(layer.ln1(x)).chunk(3, dim=-1)
        )
        logits = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        if attn.has_tables:
            tables = [attn.rel_pos_h, attn.rel_pos_w]
            if i in global_blocks:
                tables = [fitted_table(tables[0], height), fitted_table(tables[1], width)]
            if swap_tables:
                tables.reverse()
            for table, at in zip(tables, (row, column), strict=True):
                offset = at[:, None] - at[None, :] + len(table) // 2
                between = table[offset.clamp(0, len(table) - 1)]  # beyond a window: masked below
                logits = logits + torch.einsum("nhic,ijc->nhij", q, between)
        if i not in global_blocks:
            logits = logits.masked_fill(~same_window, -torch.inf)
        x = x + attn.proj((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))
        x = x + layer.ffn.layers(layer.ln2(x))
    return backbone.ln1(x).transpose(1, 2).unflatten(2, (height, width))


def difference(one, other):
    return ((one - other).abs().max() / other.abs().max()).item()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rel_pos", [False, True])
@torch.no_grad()
def test_windows_are_a_mask(size, rel_pos):
    backbone = deit(rel_pos=rel_pos)
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    (feature,) = backbone(images)
    assert difference(feature, written_out(backbone, images, (1, 3), 3)) < 1e-10
    (single,) = copy.deepcopy(backbone).float()(images.float())
    assert_float32(lambda: backbone(images)[0], [single])


@pytest.mark.parametrize(
    "mistake",
    [
        dict(shift=1),
        dict(window=4),
        dict(global_blocks=(1,)),
        dict(global_blocks=(0, 2)),
        dict(swap_tables=True),
    ],
    ids=str,
)
@torch.no_grad()
def test_wrong_windows_show(mistake):
    """The twin."""
    backbone = deit(rel_pos=True)
    images = torch.randn(1, 3, 20, 28, dtype=torch.float64)
    settings = {**dict(global_blocks=(1, 3), window=3), **mistake}
    (feature,) = backbone(images)
    assert difference(feature, written_out(backbone, images, **settings)) > 1e-4


@torch.no_grad()
def test_relative_positions_at_zero_change_nothing():
    """What no pretraining has starts as nothing."""
    images = torch.randn(1, 3, 20, 28, dtype=torch.float64)
    plain, related = deit(), deit(rel_pos=True, rel_pos_size=64)
    missing, extra = related.load_state_dict(plain.state_dict(), strict=False)
    assert len(missing) == 2 * ARCH["num_layers"] and not extra
    fresh = MODELS.build(
        dict(type="mmrbdc.DeiT", arch=ARCH, img_size=16, rel_pos=True, with_cls_token=False)
    )
    for name in missing:
        assert not fresh.state_dict()[name].any()
        related.get_parameter(name).data.zero_()
    assert difference(related(images)[0], plain(images)[0]) < 1e-12


def test_sizes_of_the_tables():
    """A window's table has its offsets; a global one those of the grid it is made for."""
    backbone = deit(rel_pos=True, rel_pos_size=(64, 32))
    shapes = [
        (tuple(layer.attn.rel_pos_h.shape), tuple(layer.attn.rel_pos_w.shape))
        for layer in backbone.layers
    ]
    assert shapes == [((5, 8), (5, 8)), ((31, 8), (15, 8))] * 2
    table = torch.randn(9, 4)
    assert fitted_table(table, 5) is table
    assert fitted_table(table, 20).shape == (39, 4)
    torch.testing.assert_close(fitted_table(torch.ones(9, 4), 3), torch.ones(5, 4))


def test_relative_positions_learn_in_every_block():
    backbone = deit(rel_pos=True).train()
    backbone(torch.randn(1, 3, 20, 28, dtype=torch.float64))[0].square().sum().backward()
    assert all(parameter.grad.any() for parameter in backbone.parameters())


@pytest.mark.parametrize("height, width, window", [(6, 6, 3), (5, 7, 3), (2, 9, 4), (2, 3, 14)])
def test_the_order_of_windows(height, width, window):
    """There and back is nothing; each group's windows are rectangles of the grid."""
    grid = WindowGrid(height, width, window)
    places = torch.arange(2 * height * width).view(2, -1, 1)
    there = grid.to_windows(places)
    torch.testing.assert_close(grid.to_rows(there), places)
    assert sum(grid.sizes) == height * width
    seen = 0
    for group, tokens in zip(grid.groups, there[0, :, 0].split(grid.sizes), strict=True):
        for rectangle in tokens.view(group.count, group.height, group.width):
            top, left = divmod(int(rectangle[0, 0]), width)
            assert top % window == 0 and left % window == 0
            rows = torch.arange(top, top + group.height)[:, None]
            assert torch.equal(rectangle, rows * width + torch.arange(left, left + group.width))
            seen += 1
    assert seen == -(-height // window) * -(-width // window)


@pytest.mark.parametrize(
    "depth, blocks, indices",
    [
        (12, 4, {2, 5, 8, 11}),
        (24, 4, {5, 11, 17, 23}),
        (4, 1, {3}),
        (4, 0, set()),
        (4, [0, 2], {0, 2}),
    ],
)
def test_global_blocks(depth, blocks, indices):
    assert global_block_indices(depth, 14, blocks) == indices


class LargestTensor(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return result


def largest_tensor(**options):
    """Of DeiT-S forward and backward on 1024 x 1024, every attention matrix written out."""
    with torch.device("meta"):
        backbone = MODELS.build(dict(type="mmrbdc.DeiT", arch="deit-small", **options))
        images = torch.empty(1, 3, 1024, 1024)
    with LargestTensor() as largest, sdpa_kernel(SDPBackend.MATH):
        backbone(images)[0].sum().backward()
    return largest.elements


FULL_MATRIX = 6 * (1024 // 16) ** 4


@pytest.mark.parametrize("rel_pos", [False, True])
def test_windowed_blocks_never_hold_the_full_attention_matrix(rel_pos):
    """Not even where no kernel fuses attention: nothing comes near one head of six."""
    largest = largest_tensor(window_size=14, global_blocks=0, with_cls_token=False, rel_pos=rel_pos)
    assert largest < FULL_MATRIX / 12


def test_full_attention_does():
    """The twin: the same measure sees the matrix of a block that attends to all tokens."""
    assert largest_tensor() >= FULL_MATRIX


@torch.no_grad()
def test_relative_positions_of_global_blocks_make_no_matrix():
    """With a fused kernel a global block stays as small, relative positions or not."""
    backbone = deit(global_blocks=4, rel_pos=True).float()
    with LargestTensor() as largest:
        backbone(torch.randn(1, 3, 128, 128))
    assert largest.elements < 32**4 / 4
