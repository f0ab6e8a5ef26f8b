"""Which sub-nets a stage of AutoProg (CVPR 2022, arXiv 2203.14509) chooses from, and the choice.

Numbers alone: a grid of depths and image sizes, candidates, the blocks that a sub-net keeps, the
draw of every step, and the rule that picks one from losses and costs. Nothing is trained here.
"""

from mmrbdc.search.candidates import SubNet, candidates, supernet
from mmrbdc.search.errors import SearchError
from mmrbdc.search.grid import Grid, grid, share
from mmrbdc.search.selection import Choice, choose
from mmrbdc.search.sub_nets import draw

__all__ = [
    "Choice",
    "Grid",
    "SearchError",
    "SubNet",
    "candidates",
    "choose",
    "draw",
    "grid",
    "share",
    "supernet",
]
