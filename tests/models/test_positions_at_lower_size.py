"""The position table of a backbone on smaller images, against AutoProg's interpolation of its own.

Facts from running ``interpolate_pos_encoding`` (github.com/changlin31/AutoProg-Zero at 1519475,
apz_models.py; models/volo.py of github.com/changlin31/AutoProg at e7ecc98 has the same rule) on
tables of sines and cosines, ``get_2d_sincos_pos_embed``. There torch gets a scale,
``(n + 0.1) / grid``, and samples by that scale itself; MMPretrain's ``resize_pos_embed``, which our
backbones call, gives it the size. So the sampled points differ a little: what they give by at most
0.124 from 4 x 4 to 2 x 2 and 0.158 from 14 x 14 to 8 x 8, of tables between -1 and 1, and not at
all at the full size.
"""

import json
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from torch.nn import functional

from mmrbdc.registry import MODELS

CASES = json.loads((Path(__file__).parent / "samples/positions.json").read_text())["cases"]
PATCH = 2

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


def sines(grid, dim):
    """The table: one half of the channels for the column, the other for the row."""
    omega = 10000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    angles = torch.arange(grid, dtype=torch.float64)[:, None] * omega
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)
    columns, rows = axis.repeat(grid, 1), axis.repeat_interleave(grid, 0)
    return torch.cat([columns, rows], dim=1)


def in_forward(kind, table, grid, to):
    """What a backbone with the table adds to the tokens of an image of ``to`` by ``to`` patches."""
    dim = table.shape[1]
    init_default_scope("mmpretrain")
    backbone = MODELS.build(
        dict(
            type=kind,
            arch=dict(embed_dims=dim, num_layers=1, num_heads=1, feedforward_channels=dim),
            img_size=PATCH * grid,
            patch_size=PATCH,
        )
    ).double()
    seen = []
    backbone.layers[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        for parameter in backbone.patch_embed.parameters():
            parameter.zero_()
        backbone.cls_token.zero_()
        backbone.pos_embed.copy_(torch.cat([torch.zeros(1, dim).double(), table])[None])
        backbone(torch.zeros(1, 3, PATCH * to, PATCH * to, dtype=torch.float64))
    (tokens,) = seen
    return tokens[0, 1:]


def by_scale(table, grid, to):
    """AutoProg's rule: torch is told the scale, where it is not the table's own."""
    if to == grid:
        return table
    image = table.T.reshape(1, -1, grid, grid)
    scale = (to + 0.1) / grid
    found = functional.interpolate(
        image, scale_factor=(scale, scale), mode="bicubic", recompute_scale_factor=False
    )
    return found[0].flatten(1).T


@pytest.mark.parametrize("kind", ["mmpretrain.VisionTransformer", "mmrbdc.DeiT"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['grid']} to {case['to']}")
def test_how_far_ours_is_from_autoprogs(kind, case):
    """As far as stated, to a rounding of float32. Twin: the first rows of the table as they are."""
    grid, to = case["grid"], case["to"]
    table = sines(grid, case["dim"])
    theirs = torch.tensor(case["out"], dtype=torch.float64)
    assert torch.allclose(by_scale(table, grid, to), theirs, rtol=0, atol=1e-5)
    apart = (in_forward(kind, table, grid, to) - theirs).abs()
    assert apart.max().item() == pytest.approx(case["apart"], abs=1e-5)
    assert apart.mean().item() < 0.06
    cut = table.reshape(grid, grid, -1)[:to, :to].flatten(0, 1)
    assert (to == grid) or (cut - theirs).abs().mean() > 0.2
