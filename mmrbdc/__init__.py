"""mmrbdc: Recursive Block-Diagonal Coupling (arXiv 2605.23656) for MMPretrain and MMDetection.

The rooms, lowest floor first; imports go down, never up:

* ``growth``: how weights grow, pure functions on state dicts (needs torch, nothing else)
* ``families``: what is known of one architecture at any width
* ``plan``: stages, budgets and FLOPs, before anything runs
* ``weights``: files in and out, strict and safe
* ``models``, ``engine``, ``datasets``: MMEngine's, MMPretrain's and MMDetection's side
* ``analysis``: what finished runs are compared by
"""

__version__ = "0.1.0"
