"""Weights that are not finite are found where they enter and where they leave."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mmrbdc.weights.errors import WeightsError

_SHOWN = 4
_VARIANCE = "running_var"


def check_numbers(state_dict: Mapping[str, Tensor], source: object) -> None:
    """Refuse weights with which no model computes numbers.

    That is NaN and infinity in a tensor of any floating or complex type (8 bits, quantised and
    sparse ones too), a BatchNorm's variance below zero, and a tensor on the ``meta`` device, which
    has no values at all. Counters, masks and empty tensors are always in order.

    Args:
        state_dict: name -> tensor, on any device.
        source: what the message calls them, usually the file's path.

    Raises:
        WeightsError: names ``source``, the tensors, how many values are wrong and of how many.
    """
    problems = [f"{name} {problem}" for name, tensor in state_dict.items()
                if (problem := _problem(name, tensor))]  # fmt: skip
    if problems:
        more = [f"and {len(problems) - _SHOWN} more tensors"] if len(problems) > _SHOWN else []
        raise WeightsError(
            f"{source}: {'; '.join([*problems[:_SHOWN], *more])}. A model with such weights gives "
            "no numbers: they are neither taken over nor written. Take an earlier checkpoint, or "
            "train again with a lower learning rate or with clipped gradients"
        )


def _problem(name: str, tensor: Tensor) -> str | None:
    if tensor.is_meta:
        return "has no values (meta device)"
    values = _values(tensor.detach())
    if values is None or not values.numel():
        return None
    # One pass and no memory. A sum of finite values may overflow, so it is no proof of a fault.
    if not math.isfinite(abs(values.sum().item())):
        wrong = {"NaN": values.isnan(), "infinite": values.isinf()}
        counts = {kind: int(found.sum()) for kind, found in wrong.items()}
        shown = [f"{count:,} {kind}" for kind, count in counts.items() if count]
        if shown:
            return f"has {' and '.join(shown)} of {values.numel():,} values"
    if name.endswith(_VARIANCE) and (negative := int((values < 0).sum())):
        return f"has {negative:,} of {values.numel():,} variances below zero"
    return None


def _values(tensor: Tensor) -> Tensor | None:
    """The values that a tensor stores, of a type that can be summed; None where all are finite by
    their type.
    """
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce().values()
    elif tensor.layout is not torch.strided:
        tensor = tensor.values()
    if tensor.is_complex():
        return torch.view_as_real(tensor.resolve_conj())
    if not tensor.is_floating_point():
        return None
    return tensor.float() if tensor.element_size() == 1 else tensor
