"""Non-overlapping windows of a grid of tokens, and the order of tokens that makes them slices.

A window grid starts at the top left. Where the window does not divide the grid, the windows at the
right and bottom edges are smaller: nothing is padded, so no token can attend to a pad. That leaves
at most four groups of equal windows: the full ones, the right edge, the bottom edge, the corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class WindowGroup:
    """Windows of one size, ``rows`` x ``columns`` of them, each ``height`` x ``width`` tokens."""

    rows: int
    columns: int
    height: int
    width: int

    @property
    def count(self) -> int:
        """Number of windows."""
        return self.rows * self.columns

    @property
    def tokens(self) -> int:
        """Number of tokens in all of them."""
        return self.count * self.height * self.width


@dataclass(frozen=True)
class WindowGrid:
    """A grid of tokens cut into windows.

    Attributes:
        height: rows of tokens.
        width: columns of tokens.
        window: height and width of a full window, tokens.
    """

    height: int
    width: int
    window: int

    @property
    def groups(self) -> tuple[WindowGroup, ...]:
        """The groups in the order of the tokens: full, right edge, bottom edge, corner."""
        return tuple(
            WindowGroup(rows, columns, height, width)
            for rows, height in _cuts(self.height, self.window)
            for columns, width in _cuts(self.width, self.window)
        )

    def to_windows(self, x: Tensor) -> Tensor:
        """Reorder (N, height * width, C) from row by row to group by group, window by window."""
        parts = []
        groups = iter(self.groups)
        bands = x.unflatten(1, (self.height, self.width)).split(self._lengths(self.height), dim=1)
        for band in bands:
            for part in band.split(self._lengths(self.width), dim=2):
                group = next(groups)
                part = part.unflatten(2, (group.columns, group.width))
                part = part.unflatten(1, (group.rows, group.height))
                parts.append(part.transpose(2, 3).flatten(1, 4))
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def to_rows(self, x: Tensor) -> Tensor:
        """Undo :meth:`to_windows`."""
        parts = []
        for part, group in zip(x.split(self.sizes, dim=1), self.groups, strict=True):
            shape = (group.rows, group.columns, group.height, group.width)
            parts.append(part.unflatten(1, shape).transpose(2, 3).flatten(3, 4).flatten(1, 2))
        across = len(self._lengths(self.width))
        bands = [torch.cat(parts[i : i + across], dim=2) for i in range(0, len(parts), across)]
        return torch.cat(bands, dim=1).flatten(1, 2)

    @property
    def sizes(self) -> list[int]:
        """Tokens of every group."""
        return [group.tokens for group in self.groups]

    def _lengths(self, length: int) -> list[int]:
        return [count * size for count, size in _cuts(length, self.window)]


def global_block_indices(depth: int, window: int, blocks: int | Sequence[int] | None) -> set[int]:
    """Return the indices of the blocks that attend to all tokens.

    Args:
        depth: number of blocks.
        window: side of the others' windows; 0: there are no others.
        blocks: the indices, or a number n for the blocks that end n equal parts.

    Raises:
        ValueError: the arguments contradict each other; names them.
    """
    if window < 0:
        raise ValueError(f"window_size={window}: give the side of a window in patches, or 0")
    if window == 0:
        if blocks is not None:
            raise ValueError(
                f"global_blocks={blocks} without windows: every block attends to all tokens; give "
                "window_size too, or leave global_blocks out"
            )
        return set(range(depth))
    if blocks is None:
        raise ValueError(
            f"window_size={window} without global_blocks: say which blocks attend to all tokens, "
            "their number (ViTDet: 4) or their indices"
        )
    if not isinstance(blocks, int):
        if any(not 0 <= block < depth for block in blocks) or len(set(blocks)) < len(blocks):
            raise ValueError(
                f"global_blocks={list(blocks)}: give different indices from 0 to {depth - 1}, the "
                f"blocks of depth {depth}"
            )
        return set(blocks)
    if blocks < 0 or (blocks and depth % blocks):
        raise ValueError(
            f"global_blocks={blocks} does not divide the depth {depth} into equal parts; give a "
            "divisor, or the indices themselves"
        )
    return {(i + 1) * depth // blocks - 1 for i in range(blocks)}


def _cuts(length: int, window: int) -> list[tuple[int, int]]:
    """Return (how many, how long) of the full windows along one side, and of what is left."""
    return [(n, size) for n, size in ((length // window, window), (1, length % window)) if n * size]
