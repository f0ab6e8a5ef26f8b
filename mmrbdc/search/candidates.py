"""The sub-nets that a stage may go on with, and the supernet that holds them all.

AutoProg (CVPR 2022, arXiv 2203.14509): the first stage tries the first, the middle and the last
value of the grid. A later one stays at its image size or takes the next, and takes the next depth
or one of the two behind it: depth grows until it is full. The last stage has the full model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mmrbdc.search.errors import SearchError
from mmrbdc.search.grid import Grid

_DEPTHS = 3
"""The most depths that a stage tries."""


@dataclass(frozen=True)
class SubNet:
    """A depth in blocks and an image size in pixels of a side."""

    depth: int
    img_size: int

    def __str__(self) -> str:
        return f"{self.depth} blocks at {self.img_size} px"


def candidates(grid: Grid, stage: int, current: SubNet) -> tuple[SubNet, ...]:
    """What a stage chooses from: every image size with every depth, the smallest size first.

    Args:
        grid: the values of depth and image size.
        stage: from 0.
        current: what the stage before trained; the grid's first in stage 0.

    Returns:
        Candidates, none smaller than ``current``; none at all in the last stage, and where
        the only one is ``current``: nothing is searched then.

    Raises:
        SearchError: no such stage, or a current sub-net that is not on the grid.
    """
    stages = len(grid.depths)
    if not 0 <= stage < stages:
        raise SearchError(f"no stage {stage}; the grid has {stages}, counted from 0")
    _check_on_grid(grid, stage, current)
    if stage == stages - 1:
        return ()
    if stage == 0:
        depths, sizes = _ends_and_middle(grid.depths), _ends_and_middle(grid.img_sizes)
    else:
        sizes = [current.img_size, *_above(grid.img_sizes, current.img_size)[:1]]
        depths = _above(grid.depths, current.depth)[:_DEPTHS] or [current.depth]
    found = tuple(SubNet(depth, size) for size in sizes for depth in depths)
    return () if found == (current,) else found


def supernet(candidates: Sequence[SubNet]) -> SubNet:
    """The net that holds all candidates: the largest depth and the largest image size.

    Raises:
        SearchError: there are none.
    """
    if not candidates:
        raise SearchError("no candidates, so no supernet; the stage trains without a search")
    return SubNet(max(c.depth for c in candidates), max(c.img_size for c in candidates))


def _ends_and_middle(values: Sequence[int]) -> list[int]:
    return sorted({values[0], values[len(values) // 2], values[-1]})


def _above(values: Sequence[int], current: int) -> list[int]:
    return sorted({value for value in values if value > current})


def _check_on_grid(grid: Grid, stage: int, current: SubNet) -> None:
    if current.depth not in grid.depths or current.img_size not in grid.img_sizes:
        raise SearchError(
            f"stage {stage} starts from {current}, which is not on the grid of the depths "
            f"{', '.join(map(str, grid.depths))} and the image sizes "
            f"{', '.join(map(str, grid.img_sizes))}; a stage starts from what the one before chose"
        )
    first = SubNet(grid.depths[0], grid.img_sizes[0])
    if stage == 0 and current != first:
        raise SearchError(f"stage 0 starts from {current}; the first on the grid is {first}")
