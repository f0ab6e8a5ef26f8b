"""What operators share that take a child's blocks from parents of fewer blocks and its width."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.parents.depth import first_number, renumbered
from mmrbdc.growth.placement import Block, Placement, Rule


def parent_sizes(layout: Layout, parent: Mapping[str, Tensor], who: str) -> dict[str, int]:
    """Infer a parent's space sizes, as :meth:`Layout.space_sizes`, from the blocks that it has.

    Raises:
        GrowthError: it has more blocks than the child, or does not fit otherwise.
    """
    count = layout.num_blocks
    for name in parent:
        block = first_number(name)
        if block is None or block < count or name in layout.entries:
            continue
        if renumbered(name, block, 0) in layout.entries:
            raise GrowthError(
                f"{who} has a block {block}, but the child's number of blocks is {count}; choose a "
                "child as deep as all parents together"
            )
    blocks = [
        entry.block
        for name, entry in layout.entries.items()
        if entry.block is not None and name in parent
    ]
    return layout.first_blocks(max(blocks, default=-1) + 1).space_sizes(parent, who)


def num_blocks(layout: Layout, sizes: Mapping[str, int]) -> int:
    """How many blocks a parent has, by the spaces that it has."""
    return sum(
        all(axis.space is None or axis.space in sizes for entry in entries for axis in entry.axes)
        for entries in layout.blocks()
    )


def check_widths(layout: Layout, sizes: Sequence[Mapping[str, int]], operator: str) -> None:
    """Refuse parents of another width than the child's.

    Raises:
        GrowthError: space, parent and both widths.
    """
    for i, of_parent in enumerate(sizes):
        for name, size in of_parent.items():
            if layout.spaces[name].size != size:
                raise GrowthError(
                    f"space '{name}' is {size} wide in parent {i} and {layout.spaces[name].size} "
                    f"in the child, and {operator} grows no width"
                )


def copied(layout: Layout, name: str, parent: int) -> Placement:
    """The placement of a tensor that is one parent's, whole."""
    return Placement(Rule.COPIED, (Block(parent, tuple((0, size) for size in layout.shape(name))),))
