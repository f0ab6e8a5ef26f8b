"""Which sub-net of a supernet a step trains."""

import random
from collections.abc import Sequence

from mmrbdc.search.candidates import SubNet
from mmrbdc.search.errors import SearchError
from mmrbdc.seeding import derive_seed


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
