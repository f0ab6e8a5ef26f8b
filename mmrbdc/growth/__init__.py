"""How weights grow: pure functions on state dicts. Needs torch and nothing else."""

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Axis, Entry, Layout, Space
from mmrbdc.growth.placement import Block, Placement
from mmrbdc.growth.report import GrowthReport
from mmrbdc.growth.run import OPERATORS, GrowthResult, Operator, get_operator, grow

__all__ = [
    "OPERATORS",
    "Axis",
    "Block",
    "Entry",
    "GrowthError",
    "GrowthReport",
    "GrowthResult",
    "Layout",
    "Operator",
    "Placement",
    "Space",
    "get_operator",
    "grow",
]
