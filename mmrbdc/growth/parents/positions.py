"""Position tables at another resolution: bicubic interpolation of the grid, tokens kept.

A position table of shape (1, tokens + rows x columns, channels) holds the class and distillation
tokens first, then the grid row by row. Interpolated are the grid's entries, channel by channel, in
float32 and with ``align_corners=False``, as MMPretrain does when an image of another size comes in
(``resize_pos_embed``). A resized table is a start for training at the new resolution; it does not
keep the function.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout

Grid = tuple[int, int]
"""Rows and columns of patches."""


def resize_positions(
    state_dict: Mapping[str, Tensor],
    layout: Layout,
    source: Grid,
    target: Grid,
    who: str = "the parent",
) -> dict[str, Tensor]:
    """Copy a state dict, its position tables resized.

    Args:
        state_dict: the parent's tensors; not changed. Other tensors are handed on as they are.
        layout: the parent's; says which tensors are position tables.
        source: the parent's grid.
        target: the grid to reach.
        who: what messages call the parent.

    Raises:
        GrowthError: a table that is missing or has another length than the layout says, or a grid
            that does not fit it.
    """
    resized = dict(state_dict)
    for name, entry in layout.entries.items():
        if entry.role != "position":
            continue
        tokens = entry.axes[1].size
        if name not in state_dict or state_dict[name].shape[1] != tokens:
            found = tuple(state_dict[name].shape) if name in state_dict else "missing"
            raise GrowthError(
                f"{who}: '{name}' is {found}, expected {tokens} tokens for a grid of {source}; is "
                "the image size of its config or meta the one that it was trained at?"
            )
        resized[name] = resize_table(state_dict[name], source, target, f"{who}: '{name}'")
    return resized


def resize_table(
    table: Tensor, source: Grid, target: Grid, what: str = "the position table"
) -> Tensor:
    """Resize one position table.

    Args:
        table: (1, tokens + rows x columns of ``source``, channels).
        source: the grid that it is for.
        target: the grid to reach.
        what: what messages call it.

    Returns:
        (1, tokens + rows x columns of ``target``, channels), of the same dtype.

    Raises:
        GrowthError: a table that has not three dimensions, or is shorter than its grid.
    """
    rows, columns = source
    tokens = table.shape[1] - rows * columns if table.ndim == 3 else -1
    if tokens < 0:
        raise GrowthError(
            f"{what} has shape {tuple(table.shape)}; for a grid of {source} it must be "
            f"(1, tokens + {rows * columns}, channels)"
        )
    if source == target:
        return table
    grid = table[:, tokens:].unflatten(1, source).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid.float(), size=target, mode="bicubic", align_corners=False)
    flat = grid.flatten(2).transpose(1, 2).to(table.dtype)
    return torch.cat((table[:, :tokens], flat), dim=1)
