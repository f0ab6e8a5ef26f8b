"""The FLOPs counter against arithmetic by hand and against what autograd really computes."""

from itertools import pairwise, product

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mmrbdc.plan import forward_flops, training_flops, training_flops_per_sample

WIDTHS = (3, 5, 7, 11, 13)
LAYERS = [2 * i * o for i, o in pairwise(WIDTHS)]


def mlp():
    return nn.Sequential(*[nn.Sequential(nn.Linear(i, o), nn.ReLU()) for i, o in pairwise(WIDTHS)])


def convnet():
    return nn.Sequential(*[nn.Conv2d(2, 2, 3, padding=1) for _ in LAYERS])


def freeze(net, trained):
    for layer, flag in zip(net, trained, strict=True):
        layer.requires_grad_(flag)


def backward_flops(net, inputs):
    """FLOPs of forward and backward, as autograd runs them."""
    with FlopCounterMode(display=False) as counter:
        output = net(inputs)
        if output.requires_grad:
            output.sum().backward()
    return counter.get_total_flops()


class Attention(nn.Module):
    """Embed, attend with one head, project: (N, L, D) to (N, 1, L, D)."""

    def __init__(self, dim):
        super().__init__()
        self.embed = nn.Linear(dim, dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = self.qkv(self.embed(x)).unsqueeze(1).chunk(3, dim=-1)
        return self.proj(F.scaled_dot_product_attention(q, k, v))


def test_forward_counts_two_flops_per_multiply_add():
    with torch.device("meta"):
        assert forward_flops(mlp(), torch.zeros(4, 3)) == 4 * sum(LAYERS)


def test_training_everything_is_three_forward_passes_whatever_the_batch():
    with torch.device("meta"):
        assert training_flops_per_sample(mlp(), torch.zeros(4, 3)) == 3 * sum(LAYERS)
        attention = Attention(8)
        tokens = torch.zeros(2, 5, 8)
        forward = forward_flops(attention, tokens) // 2
        assert training_flops_per_sample(attention, tokens) == 3 * forward


@pytest.mark.parametrize(("make", "shape"), [(mlp, (1, 3)), (convnet, (1, 2, 6, 6))])
@pytest.mark.parametrize("trained", list(product([True, False], repeat=len(LAYERS))))
def test_frozen_layers_cost_what_autograd_saves(make, shape, trained):
    """Autograd's own count, plus the one thing that the rule of three charges and autograd skips.

    That is the gradient to the input of the first trained layer.
    """
    with torch.device("meta"):
        net, inputs = make(), torch.zeros(shape)
        with FlopCounterMode(display=False) as counter:
            net(inputs)
        per_layer = [counter.get_flop_counts()[f"Sequential.{i}"] for i in range(len(LAYERS))]
        per_layer = [sum(counts.values()) for counts in per_layer]
        freeze(net, trained)
        skipped = per_layer[trained.index(True)] if any(trained) else 0
        charged = training_flops_per_sample(net, inputs)
    assert charged == backward_flops(net, inputs) + skipped
    if not all(trained):
        assert charged != 3 * sum(per_layer), "three forward passes would overcharge frozen layers"


def test_attention_products_are_charged_by_the_gradient_that_reaches_them():
    tokens, dim = 5, 8
    linear, products = 2 * tokens * dim * dim, 2 * (2 * tokens * tokens * dim)
    with torch.device("meta"):
        net, inputs = Attention(dim), torch.zeros(1, tokens, dim)
        net.qkv.requires_grad_(False)
        passing = training_flops_per_sample(net, inputs)
        net.embed.requires_grad_(False)
        frozen_prefix = training_flops_per_sample(net, inputs)
    assert passing == 3 * linear + 2 * 3 * linear + 3 * products + 3 * linear
    assert frozen_prefix == linear + 3 * linear + products + 3 * linear


def test_a_cpu_counts_attention_like_meta():
    """The twin is the bare counter, which does not see the kernel that a CPU chooses."""
    with torch.device("meta"):
        expected = forward_flops(Attention(8), torch.zeros(1, 5, 8))
    net, inputs = Attention(8), torch.zeros(1, 5, 8)
    assert forward_flops(net, inputs) == expected
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(inputs)
    assert counter.get_total_flops() < expected


def test_a_real_step_on_a_cpu_is_counted_with_its_attention():
    """PyTorch's own counter misses the CPU's kernel (the twin); the result is untouched."""
    net, tokens = Attention(8), torch.rand(2, 5, 8)
    expected = 2 * training_flops_per_sample(net, tokens)
    plain = net(tokens)
    with training_flops() as cost:
        counted = net(tokens)
    assert cost.total == expected
    assert torch.equal(plain, counted)
    with FlopCounterMode(display=False) as twin:
        net(tokens)
    assert 3 * twin.get_total_flops() < expected
