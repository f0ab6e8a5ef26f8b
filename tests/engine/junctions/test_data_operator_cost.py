"""What operators that grow with images are charged: the passes that they really make."""

import pytest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.growth import get_operator
from mmrbdc.methods import parse_protocol
from tests.engine.data_operator_case import KINDS, Case


@pytest.fixture(params=KINDS)
def case(request, images):
    return Case(images, request.param)


@pytest.mark.parametrize("operator", ["gradmax", "firefly"])
def test_what_is_charged_is_what_was_planned(case, operator):
    case.grow(operator)
    cfg = case.config
    cfg.protocol = dict(method=operator, family=case.kind, reference_epochs=10)
    cfg.stages = [
        dict(members=1, width=1, inner="1/2", epochs=1),
        dict(members=1, width=1, epochs=1),
    ]
    protocol = parse_protocol(cfg)
    planned = plan_inputs(cfg, protocol, samples=20)["stage_models"][1].growth_flops
    assert case.context.flops == planned > 0


def counted(case, operator):
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        case.grow(operator)
    return counter.get_total_flops()


@pytest.mark.parametrize("operator", ["gradmax", "firefly"])
def test_pytorch_counts_what_is_charged(case, operator):
    """But for the gradient by the input of the first trained layer, which is charged as ever."""
    assert case.context.flops == 0
    assert counted(case, operator) == pytest.approx(case.context.flops, rel=0.06)


def test_charging_frozen_layers_as_trained_would_be_seen(case):
    (part,) = get_operator("gradmax").work(case.layout, case.sizes, case.context.samples)
    everything = case.context._price(part.sizes, frozenset(case.layout.entries))
    assert part.images * everything > 1.08 * counted(case, "gradmax")


def test_a_wider_network_costs_more_and_a_frozen_one_less(case):
    name, (old, _) = next(iter(case.spaces.items()))
    small = dict(case.layout.sizes, **{name: old})
    everything = frozenset(case.layout.entries)
    prices = [
        case.context._price(*of)
        for of in (
            (small, frozenset()),
            (small, everything),
            (case.layout.sizes, everything),
        )
    ]
    assert 3 * prices[0] == prices[1] < prices[2]
