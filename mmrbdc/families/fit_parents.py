"""Parents of another depth or resolution: made to differ from their child in width only."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mmrbdc.families import Architecture
from mmrbdc.growth import GrowthError, deepen, resize_positions
from mmrbdc.growth.maps.templates import has_templates


@dataclass(frozen=True)
class FittedParent:
    """A parent that can be grown.

    Attributes:
        state_dict: its tensors, at the child's depth and with the child's grid of positions.
        architecture: what they are now; None where nothing was asked for and nothing is known.
        changes: what was done, in words; empty when nothing was.
    """

    state_dict: Mapping[str, Tensor]
    architecture: Architecture | None
    changes: tuple[str, ...] = ()


def fit_parent(
    state_dict: Mapping[str, Tensor],
    parent: Architecture | None,
    child: Architecture,
    *,
    depth_operator: str | None,
    positions: bool,
    who: str,
) -> FittedParent:
    """Resize a parent's position table, then deepen it, where it is asked for and needed.

    Args:
        state_dict: the parent's tensors.
        parent: its architecture, already checked; ``None`` to read depth and grid off the tensors.
        child: what it will be grown into.
        depth_operator: how to deepen it; ``None`` leaves its depth.
        positions: whether to resize its position table.
        who: what messages call it.

    Raises:
        GrowthError, FamilyError: tensors that do not fit.
    """
    if depth_operator is None and not positions:
        return FittedParent(state_dict, parent)
    own = child.fitted(state_dict, who) if parent is None else parent
    fields = (child.depth_fields if depth_operator else ()) + (
        child.image_fields if positions else ()
    )
    if has_templates(state_dict) and own.taking(child, fields) != own:
        raise GrowthError(
            f"{who} ({own.label}) holds mixtures of templates, which grow in width only, and has "
            f"another depth or image size than {child.label}; train it with the child's"
        )
    changes = []
    if positions and own.grid is not None and child.grid is not None and own.grid != child.grid:
        state_dict = resize_positions(state_dict, own.layout(), own.grid, child.grid, who)
        (rows, columns), (new_rows, new_columns) = own.grid, child.grid
        changes.append(f"positions {rows}x{columns} -> {new_rows}x{new_columns}")
        own = own.taking(child, child.image_fields)
    deeper = own.taking(child, child.depth_fields)
    if depth_operator is not None and deeper != own:
        layout, target = own.layout(), deeper.layout()
        state_dict = deepen(state_dict, layout, target, depth_operator, who)
        blocks = [len({e.block for e in one.entries.values()} - {None}) for one in (layout, target)]
        changes.append(f"blocks {blocks[0]} -> {blocks[1]} ({depth_operator})")
    return FittedParent(state_dict, deeper if depth_operator is not None else own, tuple(changes))
