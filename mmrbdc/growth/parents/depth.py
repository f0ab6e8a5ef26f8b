"""Growing depth: the blocks of a deeper model are copies of a shallower one's.

With *B* blocks in the parent and *N* in the deeper model, block *j* of the deeper model copies

* ``stack``: block *j* mod *B*, the whole stack again behind itself. StackBERT (ICML 2019) for
  doubling; among the best depth operators in "Stacking Your Transformers" (arXiv 2405.15319);
* ``adjacent``: block floor(*j* *B* / *N*), each block next to its copies, often called
  interpolation;
* ``adjacent-last``: with *q* and *m* the quotient and the remainder of *N* / *B*, the first
  *B* - *m* blocks *q* times and the last *m* once more, each block next to its copies. The index
  map of AutoProg (CVPR 2022, arXiv 2203.14509).

Norms are copied with their block; everything outside of blocks is kept.

None keeps the function: a copied block adds its branch to the stream again. So depth grows
before parents are coupled, and a junction's scores show what it cost. Traps:

* a copy gets the gradient of its own place, so copies part from the first step on; no noise is
  added;
* drop-path rates rise with the block number: the deeper model spreads them over its own depth;
* AutoProg's paper takes *new* blocks from an average of the weights, its released code *all*
  blocks; here both come from the file that is given (the protocol's ``parents='raw' | 'ema'``);
* where *B* does not divide *N*, some blocks are copied once more than others: ``adjacent`` spreads
  these over the depth, ``adjacent-last`` takes the last ones. For multiples the two are the same.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout

DEPTH_OPERATORS = ("stack", "adjacent", "adjacent-last")
"""All depth operators by name."""


def block_sources(operator: str, parent_depth: int, depth: int) -> list[int]:
    """Which of the parent's blocks each block of the deeper model copies.

    Args:
        operator: one of ``DEPTH_OPERATORS``.
        parent_depth: blocks of the parent.
        depth: blocks of the deeper model, at least as many.

    Raises:
        GrowthError: an unknown operator, or a depth that falls.
    """
    if operator not in DEPTH_OPERATORS:
        raise GrowthError(
            f"unknown depth operator '{operator}'; there is {', '.join(DEPTH_OPERATORS)}"
        )
    if not 0 < parent_depth <= depth:
        raise GrowthError(
            f"depth cannot grow from {parent_depth} to {depth} blocks; the parent needs at least "
            "one block and no more than its child"
        )
    if operator == "stack":
        return [j % parent_depth for j in range(depth)]
    if operator == "adjacent":
        return [j * parent_depth // depth for j in range(depth)]
    copies, more = divmod(depth, parent_depth)
    once = parent_depth - more
    return [b for b in range(parent_depth) for _ in range(copies + (b >= once))]


def new_blocks(sources: Sequence[int]) -> list[int]:
    """The blocks that growth adds where copies are adjacent: they copy what the one before does.

    Args:
        sources: which block of the parent each block copies, see :func:`block_sources`.
    """
    return [j for j in range(1, len(sources)) if sources[j] == sources[j - 1]]


def kept_blocks(current: int, supernet: int, depth: int) -> tuple[int, ...]:
    """Blocks of the supernet that a sub-net runs while it trains and is judged, and ends up with.

    The supernet is grown from the current net by ``adjacent-last``. A sub-net skips the earliest of
    the new blocks, as in AutoProg (CVPR 2022, arXiv 2203.14509); at the current depth it skips all,
    and is the current net at the start. Unlike there, what is run is also what is taken out: from
    the second stage on the released code runs other blocks than it extracts, since it counts the
    skipped ones from the smallest candidate in one place and from the current depth in the other.
    Here it is the current depth in both.

    Args:
        current: blocks before growth.
        supernet: blocks of the supernet.
        depth: blocks of the sub-net.

    Raises:
        GrowthError: a sub-net that is shallower than the current net or deeper than the supernet.
    """
    if not 1 <= current <= depth <= supernet:
        raise GrowthError(
            f"no sub-net of {depth} blocks in a supernet of {supernet} grown from {current}; it "
            f"has between {current} and {supernet}"
        )
    skipped = new_blocks(block_sources("adjacent-last", current, supernet))[: supernet - depth]
    return tuple(sorted({*range(supernet)} - {*skipped}))


def deepen(
    state_dict: Mapping[str, Tensor],
    layout: Layout,
    deeper: Layout,
    operator: str,
    who: str = "the parent",
) -> dict[str, Tensor]:
    """Make a deeper model's state dict out of a shallower one's.

    Args:
        state_dict: the parent's tensors; not changed, and no memory is shared with them.
        layout: layout at the parent's depth. Widths may be others than the tensors'.
        deeper: layout of the same architecture at the depth to reach.
        operator: one of ``DEPTH_OPERATORS``.
        who: what messages call the parent.

    Returns:
        Tensors under the names of ``deeper``, in its order.

    Raises:
        GrowthError: a parent that does not fit ``layout``, layouts that differ in more than how
            many equal blocks they have, an unknown operator, or a depth that falls.
    """
    layout.space_sizes(state_dict, who)
    sources = source_names(layout, deeper, operator)
    return {name: state_dict[sources[name]].clone() for name in deeper.entries}


def source_names(layout: Layout, deeper: Layout, operator: str) -> dict[str, str]:
    """Which of the parent's tensors each tensor of the deeper model copies, by name.

    Args:
        layout: layout at the parent's depth.
        deeper: layout of the same architecture at the depth to reach.
        operator: one of ``DEPTH_OPERATORS``.

    Raises:
        GrowthError: as for :func:`deepen`.
    """
    ours, theirs = _by_block(layout), _by_block(deeper)
    outside, outside_deeper = ours.pop(None, []), theirs.pop(None, [])
    _check_same(outside, outside_deeper, "outside of the blocks")
    found = {name: name for name in outside}
    for block, source in enumerate(block_sources(operator, len(ours), len(theirs))):
        renamed = {renumbered(name, source, block): name for name in ours[source]}
        _check_same([*renamed], theirs[block], f"of block {block}, a copy of block {source}")
        found |= renamed
    for name, source_name in found.items():
        if not _alike(layout, source_name, deeper, name):
            raise GrowthError(
                f"'{name}' of the deeper model cannot be a copy of '{source_name}': role or axes "
                "differ; depth grows only where all blocks are alike, as in a transformer"
            )
    return found


def _by_block(layout: Layout) -> dict[int | None, list[str]]:
    """Names of the tensors of each block; ``None`` for those outside of blocks."""
    names: dict[int | None, list[str]] = {}
    for name, entry in layout.entries.items():
        names.setdefault(entry.block, []).append(name)
    return names


def first_number(name: str) -> int | None:
    """The first number of a dotted name, which counts blocks; ``None`` where there is none."""
    return next((int(part) for part in name.split(".") if part.isdigit()), None)


def renumbered(name: str, source: int, block: int) -> str:
    """A tensor's name in another block: the block number is the first number of a dotted name."""
    if first_number(name) != source:
        raise GrowthError(
            f"'{name}' belongs to block {source}, but its name does not say so; depth grows only "
            "in a family that numbers its blocks through, as transformers do"
        )
    parts = name.split(".")
    parts[parts.index(next(part for part in parts if part.isdigit()))] = str(block)
    return ".".join(parts)


def _check_same(found: list[str], expected: list[str], where: str) -> None:
    different = set(found) ^ set(expected)
    if different:
        raise GrowthError(
            f"tensors {where} differ between the two depths: {', '.join(sorted(different)[:3])}; "
            "depth grows only where all blocks are alike, as in a transformer"
        )


def _alike(layout: Layout, name: str, deeper: Layout, other: str) -> bool:
    """Whether two entries have one role and axes of the same kind, unit and fusion."""
    one, two = layout.entries[name], deeper.entries[other]
    if one.role != two.role or len(one.axes) != len(two.axes):
        return False
    for mine, yours in zip(one.axes, two.axes, strict=True):
        if (mine.mode, mine.fused, mine.size) != (yours.mode, yours.fused, yours.size):
            return False
        if mine.space is not None and yours.space is not None:
            space, twin = layout.spaces[mine.space], deeper.spaces[yours.space]
            if (space.kind, space.size, space.unit) != (twin.kind, twin.size, twin.unit):
                return False
    return True
