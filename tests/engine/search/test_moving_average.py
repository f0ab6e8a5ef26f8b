"""The average of MovingAverageHook against sequences of timm's ModelEmaV2, as AutoProg keeps it.

Facts from running ModelEmaV2 of timm 0.3.2 (github.com/LeapLabTHU/Deep-Incubation at 9a7061b,
timm/utils/model_ema.py; AutoProg asks for 0.4.5's, which is the same): parameters and buffers are
averaged after every step, from a copy of the model. An integer counter is averaged and cut off
there, and left as it was here: 0 in both.
"""

from types import SimpleNamespace

import pytest
import torch

from mmrbdc.engine.search.moving_average import MovingAverageHook

ONLINE = [  # w, both entries of stat, count
    ([1.0, 2.0, -1.0], 1.0, 1),
    ([2.0, 2.0, 0.0], 2.0, 2),
    ([0.0, 4.0, 8.0], 3.0, 3),
    ([1.0, 1.0, 1.0], 4.0, 4),
    ([-3.0, 5.0, 0.5], 5.0, 5),
]
AVERAGES = {  # decay: w, both entries of stat after each step; frozen stays 1, count 0
    0.998: [
        ([0.0020000000000000018, 0.0040000000000000036, -0.0020000000000000018],
         0.0020000000000000018),
        ([0.005996000000000005, 0.007992000000000006, -0.0019960000000000017],
         0.005996000000000005),
        ([0.005984008000000005, 0.015976016000000013, 0.014007992000000013],
         0.011984008000000011),
        ([0.007972039984000007, 0.017944063968000013, 0.015979976016000014],
         0.01996003998400002),
        ([0.0019560959040320017, 0.027908175840064022, 0.016948016063968015],
         0.02992011990403203),
    ],
    0.9: [
        ([0.1, 0.2, -0.1], 0.1),
        ([0.29, 0.38, -0.09], 0.29),
        ([0.261, 0.742, 0.719], 0.561),
        ([0.3349, 0.7678, 0.7471], 0.9049),
        ([0.00141, 1.19102, 0.72239], 1.31441),
    ],
}  # fmt: skip


def double(values):
    return torch.tensor(values, dtype=torch.float64)


class Toy(torch.nn.Module):
    """Parameters, one of them frozen, statistics and a counter."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(3))
        self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
        self.register_buffer("stat", torch.zeros(2))
        self.register_buffer("count", torch.tensor(0))

    def take(self, w, stat, count):
        with torch.no_grad():
            self.w.copy_(double(w))
            self.stat.fill_(stat)
            self.count.fill_(count)


class Averaged:
    """A model, and the hook that averages it."""

    def __init__(self, decay):
        self.model = Toy().double()
        self.runner = SimpleNamespace(model=self.model)
        self.hook = MovingAverageHook(decay, "average.pth", {})
        self.hook.before_train(self.runner)

    def step(self, *values):
        self.model.take(*values)
        self.hook.after_train_iter(self.runner, 0)
        return self.hook.siblings.state_dict()


def agrees(state, expected):
    w, stat = expected
    pairs = [(state["w"], w), (state["stat"], [stat] * 2)]
    return all(torch.allclose(ours, double(theirs), rtol=0, atol=1e-12) for ours, theirs in pairs)


@pytest.mark.parametrize("decay", AVERAGES)
def test_the_average_is_timms(decay):
    """Twin: the other decay."""
    averaged, other = Averaged(decay), Averaged(sum(AVERAGES) - decay)
    start = averaged.hook.siblings.state_dict()
    assert all(torch.equal(start[name], t) for name, t in averaged.model.state_dict().items())
    for values, expected in zip(ONLINE, AVERAGES[decay], strict=True):
        state = averaged.step(*values)
        assert agrees(state, expected)
        assert torch.equal(state["frozen"], double([1, 1])) and state["count"] == 0
        assert not agrees(other.step(*values), expected)


def test_it_goes_on_from_a_checkpoint():
    """As without the break; the twin begins with the model of that moment instead."""
    whole, first = Averaged(0.9), Averaged(0.9)
    for values in ONLINE[:3]:
        whole.step(*values)
        first.step(*values)
    checkpoint = {}
    first.hook.before_save_checkpoint(first.runner, checkpoint)
    later, twin = Averaged(0.9), Averaged(0.9)
    for one in (later, twin):
        one.model.load_state_dict(first.model.state_dict())
        one.hook.after_load_checkpoint(one.runner, checkpoint if one is later else {})
        one.hook.before_train(one.runner)
    for values, expected in zip(ONLINE[3:], AVERAGES[0.9][3:], strict=True):
        states = [one.step(*values) for one in (whole, later, twin)]
        assert [agrees(state, expected) for state in states] == [True, True, False]
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
