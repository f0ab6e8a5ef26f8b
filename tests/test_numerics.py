"""The bound on float32's rounding: wide enough for any order of adding, too narrow for mistakes."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.numerics import EXACT, assert_float32, rounding

pytestmark = pytest.mark.numeric


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


ORDERS = {
    "one after another": lambda terms: torch.cumsum(terms, 0)[-1],
    "backwards": lambda terms: torch.cumsum(terms.flip(0), 0)[-1],
    "largest first": lambda terms: torch.cumsum(terms[terms.abs().argsort(descending=True)], 0)[-1],
    "4 lanes": lambda terms: torch.cumsum(terms.view(-1, 4), 0)[-1].sum(),
    "16 lanes": lambda terms: torch.cumsum(terms.view(-1, 16), 0)[-1].sum(),
    "by halves": lambda terms: terms.view(2, -1).sum(1).sum(),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_every_order_of_adding_is_within_the_bound(order, mean):
    for seed in range(8):
        terms = draws(1024, seed=seed) + mean
        terms = terms.float().double()
        assert_float32(terms.sum, [ORDERS[order](terms.float())])


def network(seed=1):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    layers += [nn.Conv2d(16, 16, 3), nn.GroupNorm(4, 16), nn.GELU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16 * 8 * 8, 5)).double()


def stepped(dtype=torch.float64, rate=0.1, inputs=None):
    """Loss, weights and statistics after two steps of a small network."""
    model = network().to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    images = (draws(4, 3, 12, 12) if inputs is None else inputs).to(dtype)
    for _ in range(2):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), torch.arange(4))
        loss.backward()
        optimizer.step()
    return {"loss": loss.detach(), **model.state_dict()}


def test_two_steps_in_float32_are_within_the_bound():
    assert_float32(stepped, [stepped(torch.float32)])


@pytest.mark.parametrize(
    "mistake",
    {
        "bfloat16 inputs": dict(inputs=draws(4, 3, 12, 12).bfloat16()),
        "a rate 0.1 % off": dict(rate=0.1001),
    }.items(),
    ids=lambda mistake: mistake[0],
)
def test_twin_mistakes_are_not(mistake):
    with pytest.raises(AssertionError, match=r"off by .*, float32 "):
        assert_float32(stepped, [stepped(torch.float32, **mistake[1])])


def test_the_bound_is_small_and_grows_with_length_and_cancellation():
    """A long sum, and one of which nothing is left."""
    short, long = draws(16).abs(), draws(4096).abs()
    bounds = [rounding(terms.sum)["it"] / float(terms.sum()) for terms in (short, long)]
    assert EXACT < bounds[0] < 1e-6 and bounds[1] < 1e-5
    left = torch.cat([long, -long, torch.ones(1, dtype=torch.float64)])
    assert rounding(left.sum)["it"] > 10 * bounds[1]


def test_the_bound_is_the_same_in_every_call_and_the_model_is_left_as_it_was():
    model, images = network().eval(), draws(4, 3, 12, 12)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    bounds = [rounding(lambda: model(images).detach()) for _ in range(2)]
    assert bounds[0] == bounds[1]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
