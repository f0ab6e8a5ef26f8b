"""Which sub-nets a stage of AutoProg (CVPR 2022, arXiv 2203.14509) chooses from, and the choice.

Numbers alone: a grid of depths and image sizes, candidates, the blocks that a sub-net keeps, the
draw of every step, and the rule that picks one from losses and costs. Nothing is trained here.
"""
