"""Decomposed relative positions: MViTv2 (arXiv 2112.01526, section 4.1, equation 4), ViTDet.

The logit of query i and key j gains q_i . R_h[row(i) - row(j)] + q_i . R_w[column(i) - column(j)],
q unscaled. As a mask that would be a matrix of the size of the attention matrix, which global
blocks cannot afford and which the flash kernels of a GPU do not take. Instead every query is
extended by its products with R_h and R_w, one entry for each row and column, and every key by the
one-hot codes of its row and column: the same logits from longer vectors. The price is a head size
that is larger by height + width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def fitted_table(table: Tensor, size: int) -> Tensor:
    """Resize a table to all offsets along ``size`` tokens, linearly and in float32.

    Args:
        table: (2 L - 1, head size), the offsets -(L - 1) to L - 1.
        size: number of tokens along the axis.

    Returns:
        (2 size - 1, head size); the table itself where L is ``size``.
    """
    if len(table) == 2 * size - 1:
        return table
    resized = F.interpolate(table.float().T[None], size=2 * size - 1, mode="linear")
    return resized[0].T.to(table.dtype)


def extend_by_relative_positions(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    grid: tuple[int, int],
    tables: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values whose attention with ``scale=1`` has the relative positions.

    Args:
        q: (N, heads, height * width, head size), unscaled, tokens row by row.
        k: as ``q``.
        v: as ``q``; extended by zeros, since the fused kernels want one head size. The first ``head
            size`` channels of the attention's output are the result.
        grid: height and width.
        tables: for rows and for columns, (2 L - 1, head size) with L at least the grid's side.

    Returns:
        Three tensors (N, heads, height * width, head size + height + width).
    """
    height, width = grid
    rows = torch.einsum("nhijc,ikc->nhijk", q.unflatten(2, grid), _between(tables[0], height))
    columns = torch.einsum("nhijc,jkc->nhijk", q.unflatten(2, grid), _between(tables[1], width))
    scaled = q * q.shape[-1] ** -0.5
    codes = torch.cat(
        [
            torch.eye(height, dtype=k.dtype, device=k.device).repeat_interleave(width, dim=0),
            torch.eye(width, dtype=k.dtype, device=k.device).repeat(height, 1),
        ],
        dim=1,
    ).expand(*k.shape[:2], -1, -1)
    return (
        torch.cat([scaled, rows.flatten(2, 3), columns.flatten(2, 3)], dim=-1),
        torch.cat([k, codes], dim=-1),
        F.pad(v, (0, height + width)),
    )


def _between(table: Tensor, size: int) -> Tensor:
    """Return (size, size, head size): the table's entry for query i and key j."""
    at = torch.arange(size, device=table.device)
    return table[at[:, None] - at[None, :] + (len(table) - 1) // 2]
