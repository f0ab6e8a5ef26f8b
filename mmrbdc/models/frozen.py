"""Parts of a model that keep what they have."""

from collections.abc import Sequence

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze(model: nn.Module, names: Sequence[str], who: str = "the model") -> None:
    """Keep parts of a model from training: no gradients are asked for.

    Call it before the model is wrapped for several processes, and before its optimizer is built.

    Args:
        model: what they are parts of; changed in place.
        names: of modules or parameters, such as ``'backbone.layers.0'``.
        who: what messages call the model.

    Raises:
        ValueError: a name that the model does not have, or nothing is left to train.
    """
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    unknown = [name for name in names if not name or name not in modules.keys() | parameters]
    if unknown:
        known = ", ".join(name for name, _ in model.named_children())
        raise ValueError(
            f"{who} has no part {unknown[0]!r} to freeze; name modules or parameters in it, which "
            f"begin with {known}"
        )
    for name, parameter in parameters.items():
        if any(name == part or name.startswith(f"{part}.") for part in names):
            parameter.requires_grad_(False)
    if names and not any(parameter.requires_grad for parameter in parameters.values()):
        raise ValueError(f"{who} has nothing left to train: {', '.join(names)} are all of it")


def frozen_norms(model: nn.Module) -> list[nn.Module]:
    """The BatchNorms of a model whose weights are frozen.

    They belong in evaluation mode, or their statistics would move; dropout and drop-path draw as
    elsewhere. MMEngine may replace norms after a model is built: look when they are needed.
    """
    return [
        norm
        for norm in model.modules()
        if isinstance(norm, _BatchNorm) and norm.affine and not norm.weight.requires_grad
    ]
