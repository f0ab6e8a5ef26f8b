"""Module incubation: a module of fresh blocks takes the place of one block of a meta model.

A target of *L* blocks is divided into *K* modules of *L* / *K* blocks. A meta model has one block
for each. The hybrid of module *i* is the meta model with its block *i* replaced by the module:
blocks *i* to *i* + *L* / *K* - 1 are fresh, the ones around them are the meta model's. The first
module brings its own front (patches, tokens, positions), the last its own back (final norm,
classifier). Deep Incubation (ICCV 2023, arXiv 2212.04129), section 3.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.context import Context, Work
from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.blocks import check_widths, copied, num_blocks, parent_sizes
from mmrbdc.growth.parents.depth import renumbered
from mmrbdc.growth.placement import Placement

NAME = "incubation"
OPTIONS = ("module", "modules")
FRESH = Placement("drawn anew")


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Context | Any = None,
    module: int,
    modules: int,
) -> dict[str, Tensor]:
    """Put a fresh module into the meta model.

    Args:
        parents: the meta model's state dict, of one block per module.
        layout: the hybrid's.
        generator: not used: the context draws.
        context: gives the fresh tensors.
        module: number of the module, from 0.
        modules: how many there are.

    Returns:
        New tensors with the meta model's dtype.

    Raises:
        GrowthError: several parents, other widths, or numbers of blocks that do not fit.
    """
    sizes = [parent_sizes(layout, parent, f"parent {i}") for i, parent in enumerate(parents)]
    sources = _sources(layout, sizes, module, modules)
    fresh = context.initial()
    return {
        name: fresh[name].to(parents[0][name_outside(layout, name)])
        if source is None
        else parents[0][source].clone()
        for name, source in sources.items()
    }


def describe(
    layout: Layout, sizes: Sequence[Mapping[str, int]], *, module: int, modules: int
) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    return {
        name: FRESH if source is None else copied(layout, name, 0)
        for name, source in _sources(layout, sizes, module, modules).items()
    }


def work(layout: Layout, sizes: Mapping[str, int], samples: int) -> list[Work]:
    """Return nothing: no image is looked at."""
    return []


def module_blocks(hybrid_blocks: int, module: int, modules: int) -> range:
    """Which blocks of a hybrid are the module's.

    Args:
        hybrid_blocks: how many it has: those of a module, and one for each other module.
        module: number of the module, from 0.
        modules: how many there are.

    Raises:
        GrowthError: no module of that number, or no block is left for it.
    """
    own = hybrid_blocks - (modules - 1)
    if modules < 2 or not 0 <= module < modules or own < 1:
        raise GrowthError(
            f"a hybrid of {hybrid_blocks} blocks has no module {module} of {modules}; it has one "
            f"block for each of the {modules - 1} other modules, and one or more for its own"
        )
    return range(module, module + own)


def name_outside(layout: Layout, name: str) -> str:
    """A tensor that every meta model has and whose dtype a fresh one takes: itself, or that of the
    first block.
    """
    block = layout.entries[name].block
    return name if block is None else renumbered(name, block, 0)


def _sources(
    layout: Layout, sizes: Sequence[Mapping[str, int]], module: int, modules: int
) -> dict[str, str | None]:
    """The meta model's tensor that each of the hybrid's is, ``None`` for a fresh one."""
    if len(sizes) != 1:
        raise GrowthError(f"{NAME} got {len(sizes)} parents; it takes the one meta model")
    check_widths(layout, sizes, NAME)
    own = module_blocks(layout.num_blocks, module, modules)
    meta = num_blocks(layout, sizes[0])
    if meta != modules:
        raise GrowthError(
            f"the meta model has {meta} blocks for {modules} modules; it needs one for each"
        )
    found: dict[str, str | None] = {}
    for name, entry in layout.entries.items():
        if entry.block is None:
            back = layout.is_back(name)
            fresh = module == modules - 1 if back else module == 0
            found[name] = None if fresh else name
        elif entry.block in own:
            found[name] = None
        else:
            behind = entry.block >= own.stop
            source = entry.block - len(own) + 1 if behind else entry.block
            found[name] = renumbered(name, entry.block, source)
    return found
