"""Firefly's two passes over images: directions trained in one, scores summed over the other."""

import pytest
import torch

from mmrbdc.growth.operators import firefly
from tests.engine.data_operator_case import KINDS, Case

pytestmark = pytest.mark.numeric


@pytest.fixture(params=KINDS)
def case(request, images):
    return Case(images, request.param)


class Search:
    """The start that ``case.grow`` draws; its loss is that of the network with all candidates."""

    def __init__(self, case):
        generator = torch.Generator().manual_seed(2)
        parts = (case.parent, case.layout, case.spaces)
        self.case, self.parts = case, parts
        self.found = firefly.draw_directions(*parts, generator)
        self.everything = {
            name: firefly.Choice(
                torch.arange(old), torch.arange(firefly.new_candidates((old, new)))
            )
            for name, (old, new) in case.spaces.items()
        }

    def loss(self, batch):
        state = firefly.assembled(*self.parts, self.found, self.everything)
        return self.case.context.loss(state, batch)

    def batches(self):
        return self.case.context.batches(self.case.context.samples)

    def train_by_rmsprop(self):
        """Written out: lr 1e-3, momentum 0.1, alpha 0.9, eps 1e-8."""
        leaves = self.found.all()
        squares, steps = ([torch.zeros_like(leaf) for leaf in leaves] for _ in range(2))
        for batch in self.batches():
            gradients = torch.autograd.grad(self.loss(batch), leaves)
            with torch.no_grad():
                for leaf, gradient, square, step in zip(
                    leaves, gradients, squares, steps, strict=True
                ):
                    square.mul_(0.9).add_(0.1 * gradient**2)
                    step.mul_(0.1).add_(gradient / (square.sqrt() + 1e-8))
                    leaf.sub_(1e-3 * step)


def seen_by_choose(case, monkeypatch):
    """Directions and gradients that a whole ``grow`` chooses by."""
    seen = {}
    choose = firefly.choose

    def spy(layout, spaces, directions, gradients):
        seen["directions"] = [leaf.detach().clone() for leaf in directions.all()]
        seen["gradients"] = [gradient.clone() for gradient in gradients]
        return choose(layout, spaces, directions, gradients)

    monkeypatch.setattr(firefly, "choose", spy)
    case.grow("firefly")
    return seen


def close(found, expected):
    return all(
        torch.allclose(*pair, rtol=1e-6, atol=1e-9) for pair in zip(found, expected, strict=True)
    )


def test_directions_are_trained_for_one_pass(case, monkeypatch):
    found = seen_by_choose(case, monkeypatch)["directions"]
    reference = Search(case)
    assert not close(found, [leaf.detach() for leaf in reference.found.all()])
    reference.train_by_rmsprop()
    assert close(found, [leaf.detach() for leaf in reference.found.all()])


def test_scores_are_of_all_batches_of_a_second_pass(case, monkeypatch):
    seen = seen_by_choose(case, monkeypatch)
    reference = Search(case)
    reference.train_by_rmsprop()
    parts = [
        torch.autograd.grad(reference.loss(batch), reference.found.all())
        for batch in reference.batches()
    ]
    assert len(parts) > 1
    assert close(seen["gradients"], [sum(of_one) for of_one in zip(*parts, strict=True)])
    assert not close(seen["gradients"], parts[-1])
