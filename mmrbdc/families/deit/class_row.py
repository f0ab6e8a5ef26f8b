"""Position tables without a row for the class token: timm's ``no_embed_class``, DeiT III.

They add positions to the patches alone, which a row of zeros does as well.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mmrbdc.families.deit.architecture import DeiTArchitecture
from mmrbdc.families.dialect import BACKBONE

_TABLE = f"{BACKBONE}pos_embed"
_DEIT3 = (
    "MMPretrain's class DeiT3 (1.2.0) sends its feed-forward layers through the first norm of a "
    "block; here it is the second, as in the official DeiT III, whose weights its files have"
)


def with_class_row(
    tensors: Mapping[str, Tensor], like: DeiTArchitecture | None, libraries: Sequence[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Give the position table a row of zeros for a class token that it leaves out.

    A table of a square number of rows is of that kind, unless the grid of ``like`` says otherwise.

    Args:
        tensors: by MMPretrain's names.
        like: an architecture for which they are wanted.
        libraries: whose names the file had.

    Returns:
        The tensors, and what was done, in words.
    """
    table = tensors.get(_TABLE)
    if table is None or table.ndim != 3 or not _has_only_class_token(tensors):
        return dict(tensors), []
    rows = table.shape[1]
    bare = math.isqrt(rows) ** 2 == rows
    if like is not None and math.prod(like.grid) in (rows, rows - 1):
        bare = math.prod(like.grid) == rows
    if not bare:
        return dict(tensors), []
    row = table.new_zeros((1, 1, table.shape[2]))
    notes = [
        "its position table has no row for the class token: a row of zeros stands there now, which "
        "computes the same"
    ]
    if tuple(libraries) == ("mmpretrain",):
        notes.append(_DEIT3)
    return {**tensors, _TABLE: torch.cat([row, table], dim=1)}, notes


def without_class_row(
    tensors: Mapping[str, Tensor], library: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Undo :func:`with_class_row` for timm: drop the first row where it is nothing but zeros."""
    table = tensors.get(_TABLE)
    if library != "timm" or table is None or not _has_only_class_token(tensors):
        return dict(tensors), []
    if table[:, 0].any():
        return dict(tensors), []
    note = (
        "the position table's row for the class token is zero and left out: build the model with "
        "no_embed_class=True, as timm's deit3_* are"
    )
    return {**tensors, _TABLE: table[:, 1:]}, [note]


def _has_only_class_token(tensors: Mapping[str, Tensor]) -> bool:
    return f"{BACKBONE}cls_token" in tensors and f"{BACKBONE}dist_token" not in tensors
