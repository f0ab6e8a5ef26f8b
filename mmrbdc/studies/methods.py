"""What each growth method does, in a line, for readers of a ranking; docs/methods.md says more."""

METHODS = {
    "rbdc": "several narrow models of different seeds become the diagonal blocks of a model as "
    "wide as all of them together, with zeros between the blocks, which is trained on",
    "scratch": "the target trained from random weights, with all of the FLOPs",
    "self-coupling": "as RBDC, but with copies of one narrow model as blocks (Staged Training): "
    "the control for whether several different parents matter",
    "net2net": "copies channels of one narrow model at random and shares, unequally, what leaves "
    "them",
    "net2net-noise": "copies channels with equal shares and noise on the weights (Net2Net as "
    "published)",
    "tiling": "repeats one narrow model's weights in both directions, with noise that cancels "
    "(HyperCloning)",
    "aki": "copies channels of one narrow model, new ones from the next layer (bert2BERT)",
    "averaging": "the mean of several narrow models, repeated to the width: the naive baseline",
    "mixture-growth": "two models trained as mixtures of templates, which also make the blocks "
    "between the two (MixtureGrowth)",
    "mixture-growth-copy": "MixtureGrowth with the members' own mixtures between them",
    "mixture-growth-zero": "MixtureGrowth with zeros between the members",
    "mixture-growth-random": "MixtureGrowth with random mixtures between the members",
    "gradmax": "grows the inner width of blocks only: new neurons change nothing and get the "
    "largest gradient",
    "firefly": "grows the inner width of blocks only: neurons split or new, the candidates that "
    "lower the loss most",
    "reinit": "the narrow stages' FLOPs are spent and their weights thrown away: the other control",
}
"""Method -> description."""


def describe_methods(names: list[str]) -> list[tuple[str, str]]:
    """Return (method, description) of those that are known."""
    return [(name, about) for name, about in METHODS.items() if name in names]
