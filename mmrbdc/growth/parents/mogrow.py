"""MoGrow: what a grown model takes from the moving average of its parent.

AutoProg (CVPR 2022, arXiv 2203.14509). The paper words it for new blocks, which are copies of
their neighbours; its released code takes the whole network.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from mmrbdc.growth.layout import Layout


def mogrow(
    online: Mapping[str, Tensor],
    average: Mapping[str, Tensor],
    layout: Layout,
    mode: str,
    new: Sequence[int],
) -> dict[str, Tensor]:
    """Put a grown model together out of the grown online weights and their grown average.

    Args:
        online: grown by some map.
        average: grown by the same map.
        layout: of both.
        mode: ``'all'`` takes the average, ``'new'`` that of new blocks, ``'off'`` none of it.
        new: numbers of the new blocks.
    """
    taken = {
        name
        for name, entry in layout.entries.items()
        if mode == "all" or (mode == "new" and entry.block in new)
    }
    return {name: (average if name in taken else online)[name] for name in layout.entries}
