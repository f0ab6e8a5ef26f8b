"""What each growth method does, in a line, for readers of a ranking; docs/methods.md says more."""

import sys

from mmrbdc.growth import get_operator

METHODS = {
    "rbdc": "several narrow models of different seeds become the diagonal blocks of a model as "
    "wide as all of them together, with zeros between the blocks, which is trained on",
    "scratch": "the target trained from random weights, with all of the FLOPs",
    "self-coupling": "as RBDC, but with copies of one narrow model as blocks (Staged Training): "
    "the control for whether several different parents matter",
    "net2net": "copies channels of one narrow model at random; what a channel passes on is divided "
    "among its copies, in unequal parts, which lets them become different (Net2Net with LEMON's "
    "remedy)",
    "net2net-noise": "copies channels with equal shares and noise on the weights (Net2Net as "
    "published)",
    "tiling": "repeats one narrow model's weights in both directions, with noise that cancels "
    "(HyperCloning)",
    "aki": "copies channels of one narrow model, new ones from the next layer (bert2BERT)",
    "averaging": "the mean of several narrow models, repeated to the width: the naive baseline",
    "mixture-growth": "two narrow models as diagonal blocks, every weight of theirs a weighted sum "
    "of a few tensors that layers share, its templates; the blocks between the two are other sums "
    "of the same templates (MixtureGrowth)",
    "mixture-growth-copy": "MixtureGrowth with copies of the diagonal blocks between them",
    "mixture-growth-zero": "MixtureGrowth with zeros between the diagonal blocks",
    "mixture-growth-random": "MixtureGrowth with random sums of the templates between the diagonal "
    "blocks",
    "gradmax": "adds hidden units inside the blocks of a model that has the full width otherwise: "
    "units that change nothing yet, in the directions of the largest gradient",
    "firefly": "adds hidden units inside the blocks of a model that has the full width otherwise: "
    "of many candidates, split or new ones, those that promise the lowest loss",
    "reinit": "the narrow stages' FLOPs are spent and their weights thrown away: the other control",
}
"""Method -> description."""


def describe_methods(names: list[str]) -> list[tuple[str, str]]:
    """Return (method, description), those of this package first.

    An operator of one's own is described by the first line of its module's docstring.
    """
    shipped = [(name, about) for name, about in METHODS.items() if name in names]
    own = [(name, _first_line(name)) for name in names if name not in METHODS]
    return [*shipped, *own]


def _first_line(name: str) -> str:
    text = sys.modules[get_operator(name).grow.__module__].__doc__ or "not described"
    return text.strip().splitlines()[0].rstrip(".")
