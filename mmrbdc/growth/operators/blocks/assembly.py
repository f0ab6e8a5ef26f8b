"""Assembly: modules that were trained inside of hybrids become the blocks of one model.

Hybrid *i* of *K* holds module *i* of the target, see
:mod:`mmrbdc.growth.operators.blocks.incubation`. The assembled model has the blocks of all modules
in order, the front of the first hybrid and the back of the last: what each module has trained, each
tensor once. Deep Incubation (ICCV 2023, arXiv 2212.04129), section 3.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout
from mmrbdc.growth.maps.blocks import check_widths, copied, num_blocks, parent_sizes
from mmrbdc.growth.operators.blocks.incubation import module_blocks
from mmrbdc.growth.parents.depth import renumbered
from mmrbdc.growth.placement import Placement

NAME = "assembly"


def grow(
    parents: Sequence[Mapping[str, Tensor]],
    layout: Layout,
    *,
    generator: torch.Generator | None = None,
    context: Any = None,
) -> dict[str, Tensor]:
    """Assemble the modules of hybrids.

    Args:
        parents: one state dict per module, in order; hybrids of equal depth.
        layout: the target's.
        generator: not used: the rule is deterministic.
        context: not used: the rule needs no data.

    Returns:
        New tensors with the parents' dtype and device.

    Raises:
        GrowthError: one parent, other widths or depths, or two that do not share their meta model.
    """
    sizes = [parent_sizes(layout, parent, f"parent {i}") for i, parent in enumerate(parents)]
    sources = _sources(layout, sizes)
    _check_one_meta_model(parents, layout, num_blocks(layout, sizes[0]))
    return {name: parents[i][source].clone() for name, (i, source) in sources.items()}


def describe(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, Placement]:
    """Say what :func:`grow` does with each tensor; raises as it does."""
    return {name: copied(layout, name, i) for name, (i, _) in _sources(layout, sizes).items()}


def _sources(layout: Layout, sizes: Sequence[Mapping[str, int]]) -> dict[str, tuple[int, str]]:
    """Number of the hybrid that each tensor is of, and its name there."""
    modules = len(sizes)
    if modules < 2:
        raise GrowthError(f"{NAME} got {modules} parent; it takes one hybrid per module")
    check_widths(layout, sizes, NAME)
    depths = [num_blocks(layout, of_parent) for of_parent in sizes]
    blocks, rest = divmod(layout.num_blocks, modules)
    if rest or set(depths) != {blocks + modules - 1}:
        wanted = (
            "that is no whole number of blocks per module"
            if rest
            else (f"each needs {blocks} of its own and {modules - 1} of the other modules")
        )
        raise GrowthError(
            f"{modules} hybrids of {', '.join(map(str, depths))} blocks for a target of "
            f"{layout.num_blocks}; {wanted}"
        )
    found = {}
    for name, entry in layout.entries.items():
        if entry.block is None:
            found[name] = (modules - 1 if layout.is_back(name) else 0, name)
        else:
            module = entry.block // blocks
            place = module_blocks(depths[0], module, modules)[entry.block % blocks]
            found[name] = (module, renumbered(name, entry.block, place))
    return found


def _check_one_meta_model(
    parents: Sequence[Mapping[str, Tensor]], layout: Layout, depth: int
) -> None:
    """Check that hybrids share the blocks that none of them trained."""
    modules = len(parents)
    for name in layout.first_blocks(modules).entries:
        kept = [(i, _meta_name(layout, name, i, modules, depth)) for i in range(modules)]
        held = [(i, source) for i, source in kept if source is not None]
        first, ours = held[0]
        for i, theirs in held[1:]:
            if not torch.equal(parents[first][ours], parents[i][theirs]):
                raise GrowthError(
                    f"'{ours}' of parent {first} and '{theirs}' of parent {i} should both be their "
                    "meta model's and differ: the files are of two protocols, one is missing, or "
                    "they are not in the order of their modules"
                )


def _meta_name(layout: Layout, name: str, module: int, modules: int, depth: int) -> str | None:
    """Where a hybrid keeps a tensor of the meta model; ``None`` where it trained another.

    Args:
        layout: the target's.
        name: the tensor's name in the meta model.
        module: number of the hybrid.
        modules: how many there are.
        depth: blocks of a hybrid.
    """
    block = layout.entries[name].block
    if block is None:
        trained = modules - 1 if layout.is_back(name) else 0
        return None if module == trained else name
    if block == module:
        return None
    own = module_blocks(depth, module, modules)
    return renumbered(name, block, block if block < module else block + len(own) - 1)
