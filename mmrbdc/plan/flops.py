"""FLOPs of a model: PyTorch's own counter, forward and training. One multiply-add is 2 FLOPs."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count


def forward_flops(module: nn.Module, inputs: Tensor | tuple[Tensor, ...]) -> int:
    """FLOPs of one forward pass over ``inputs``, all samples of the batch together.

    Attention is counted through its two matrix products: on a CPU the counter sees no other kernel
    (a DeiT-T would seem to cost 2.150 GFLOPs instead of 2.507).

    Args:
        module: best built on the ``meta`` device, where counting costs no memory and no time.
        inputs: on the module's device, batch first.
    """
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        _call(module, inputs)
    return counter.get_total_flops()


def training_flops_per_sample(module: nn.Module, inputs: Tensor | tuple[Tensor, ...]) -> int:
    """FLOPs of forward and backward for one sample.

    Every operation costs its forward FLOPs times 3 (forward, gradient to its activations, gradient
    to its weights) if it trains weights of its own or multiplies two activations on the way to some
    that do; times 2 if its weights are frozen and the gradient only passes through; times 1 if no
    gradient reaches it. With nothing frozen this is exactly three forward passes.

    Args:
        module: its parameters' ``requires_grad`` say what is trained.
        inputs: as for :func:`forward_flops`; any batch size.
    """
    return both_flops(module, inputs)[1]


def both_flops(module: nn.Module, inputs: Tensor | tuple[Tensor, ...]) -> tuple[int, int]:
    """:func:`forward_flops` and :func:`training_flops_per_sample`, in one pass."""
    batch = inputs if isinstance(inputs, Tensor) else inputs[0]
    with sdpa_kernel(SDPBackend.MATH), training_flops() as cost, torch.enable_grad():
        _call(module, inputs)
    return cost.counter.get_total_flops(), round(cost.total / len(batch))


@contextmanager
def training_flops() -> Iterator["TrainingFlops"]:
    """Count what runs inside, whatever it is, as :func:`training_flops_per_sample` does.

    Nothing that runs inside is changed: no kernel, no random number, no result. So a real training
    step may be counted. The kernel with which a CPU attends, which PyTorch's counter does not know,
    is counted by PyTorch's own formula for the other devices' kernels.

    Yields:
        The count, in ``total``.
    """
    on_cpu = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
    with (
        FlopCounterMode(display=False, custom_mapping=on_cpu) as counter,
        TrainingFlops(counter) as cost,
    ):
        yield cost


class TrainingFlops(TorchFunctionMode):
    """Weighs the FLOPs of every torch function by what its backward pass will have to compute."""

    def __init__(self, counter: FlopCounterMode) -> None:
        super().__init__()
        self.counter = counter
        self.total = 0

    def __torch_function__(
        self, func: Callable, types: Iterable[type], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        before = self.counter.get_total_flops()
        result = func(*args, **kwargs)
        flops = self.counter.get_total_flops() - before
        if flops:
            self.total += flops * _passes([*args, *kwargs.values()])
        return result


def _attention_flops(
    query: torch.Size, key: torch.Size, value: torch.Size, *args: Any, **kwargs: Any
) -> int:
    return sdpa_flop_count(query, key, value)


def _passes(operands: Iterable[Any]) -> int:
    tensors = [operand for operand in operands if isinstance(operand, Tensor)]
    weights = [tensor for tensor in tensors if isinstance(tensor, nn.Parameter)]
    if any(tensor.requires_grad for tensor in weights or tensors):
        return 3
    return 2 if any(tensor.requires_grad for tensor in tensors) else 1


def _call(module: nn.Module, inputs: Tensor | tuple[Tensor, ...]) -> None:
    module(*((inputs,) if isinstance(inputs, Tensor) else inputs))
