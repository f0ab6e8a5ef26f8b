"""mmrbdc: Recursive Block-Diagonal Coupling (arXiv 2605.23656) for MMPretrain and MMDetection.

The rooms, lowest floor first; imports go down, never up:

* ``growth``: how weights grow, pure functions on state dicts (needs torch, nothing else)
* ``families``: what is known of one architecture at any width
* ``search``: sub-nets to choose from between stages, and the rule that chooses (pure numbers)
* ``plan``: stages, budgets and FLOPs, before anything runs
* ``methods``: training systems, one per file: rules, steps, words for people
* ``weights``: files in and out, strict and safe
* ``runs``: one account of the files of a work dir
* ``datasets``, ``models``, ``engine``: MMEngine's, MMPretrain's and MMDetection's side
* ``studies``: many protocols on one recipe
* ``analysis``: what finished runs are compared by
* ``commands``: the command lines; ``shipped``: configs and tools, for MMEngine's ``mmrbdc::``

The modules beside the rooms (registry, seeding, cli and so on) know nothing of them. A room of many
files has rooms of its own, each with a line in its ``__init__``.
"""

from contextlib import suppress

from mmrbdc.ops import hush_mmcv_lite
from mmrbdc.supported import hush_onedl

__version__ = "0.1.0"

hush_mmcv_lite()

# What is missing or broken says `python -m mmrbdc.check_env`, which imports this file first.
with suppress(Exception):
    hush_onedl()
    from mmengine.config.utils import MODULE2PACKAGE

    MODULE2PACKAGE.setdefault("mmrbdc", "mmrbdc.shipped")  # for `_base_ = 'mmrbdc::...'`
