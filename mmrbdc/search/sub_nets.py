"""The part of a supernet that a sub-net is, and which sub-net a step trains."""

import random
from collections.abc import Sequence

from mmrbdc.growth.parents.depth import block_sources, new_blocks
from mmrbdc.search.candidates import SubNet
from mmrbdc.search.errors import SearchError
from mmrbdc.seeding import derive_seed


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
        SearchError: a sub-net that is shallower than the current net or deeper than the supernet.
    """
    if not 1 <= current <= depth <= supernet:
        raise SearchError(
            f"no sub-net of {depth} blocks in a supernet of {supernet} grown from {current}; it "
            f"has between {current} and {supernet}"
        )
    skipped = new_blocks(block_sources("adjacent-last", current, supernet))[: supernet - depth]
    return tuple(sorted({*range(supernet)} - {*skipped}))


def draw(candidates: Sequence[SubNet], seed: int, stage: int, iteration: int) -> SubNet:
    """The sub-net that a step trains: depth and image size uniform, and independent of each other.

    Args:
        candidates: every depth with every image size.
        seed: the run's, not the process's: all processes draw the same.
        stage: from 0.
        iteration: of the run or of the stage, as long as none comes twice.

    Raises:
        SearchError: no candidates, or not every depth with every image size: what is drawn would
            not always be one of them.
    """
    depths = sorted({c.depth for c in candidates})
    sizes = sorted({c.img_size for c in candidates})
    if not candidates or len({*candidates}) != len(depths) * len(sizes):
        raise SearchError(
            f"{len({*candidates})} candidates of {len(depths)} depths and {len(sizes)} image sizes"
            "; draws take every depth with every image size, as candidates() lists them"
        )
    generator = random.Random(derive_seed("sub-net", seed, stage, iteration))
    return SubNet(generator.choice(depths), generator.choice(sizes))
