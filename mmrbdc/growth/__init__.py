"""How weights grow: pure functions on state dicts. Needs torch and nothing else."""

from mmrbdc.growth.context import Context, Work
from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Axis, Entry, Layout, Space
from mmrbdc.growth.operators import block_diagonal
from mmrbdc.growth.parents.depth import DEPTH_OPERATORS, deepen
from mmrbdc.growth.parents.positions import resize_positions
from mmrbdc.growth.placement import Block, Placement
from mmrbdc.growth.report import GrowthReport
from mmrbdc.growth.run import (
    DEFAULT_OPERATOR,
    OPERATORS,
    GrowthResult,
    Operator,
    get_operator,
    grow,
    import_operators,
    register_operator,
)

__all__ = [
    "DEFAULT_OPERATOR",
    "DEPTH_OPERATORS",
    "OPERATORS",
    "Axis",
    "Block",
    "Context",
    "Entry",
    "GrowthError",
    "GrowthReport",
    "GrowthResult",
    "Layout",
    "Operator",
    "Placement",
    "Space",
    "Work",
    "block_diagonal",
    "deepen",
    "get_operator",
    "grow",
    "import_operators",
    "register_operator",
    "resize_positions",
]
