"""Convolutional members in torch's channels-last memory format."""

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

SMALLEST_SHORTCUT = 8
"""Input channels of a strided 1 x 1 convolution. With fewer, the backward pass of torch 2.11 in
channels-last format corrupts memory on a CPU and the process dies."""


def check_channels_last(model: nn.Module) -> None:
    """Raise a ValueError if the model is so narrow that torch would crash."""
    for name, module in _convolutions(model):
        if (
            module.kernel_size == (1, 1)
            and module.stride != (1, 1)
            and module.in_channels < SMALLEST_SHORTCUT
        ):
            raise ValueError(
                f"channels_last=True: {name} is a 1 x 1 convolution of stride {module.stride[0]} "
                f"with {module.in_channels} input channels; with fewer than {SMALLEST_SHORTCUT} "
                "torch crashes on a CPU. Use channels_last=False or a wider model"
            )


def set_memory_format(model: nn.Module, memory_format: torch.memory_format) -> None:
    """Lay out the weights of all 2d convolutions in ``memory_format``, in place.

    Of a mixture of templates (2, out, in, height, width) each template is laid out so.
    """
    for _, module in _convolutions(model):
        if is_parametrized(module, "weight"):
            templates = module.get_parameter("parametrizations.weight.original0")
            flat = templates.data.flatten(0, 1).contiguous(memory_format=memory_format)
            templates.data = flat.unflatten(0, templates.shape[:2])
            continue
        module.weight.data = module.weight.data.contiguous(memory_format=memory_format)


def _convolutions(model: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    return [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d)]
