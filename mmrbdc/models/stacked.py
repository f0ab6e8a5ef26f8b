"""All members in one forward pass: every operation once, on stacked parameters."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models.heads import ClsHead
from torch import Tensor, nn
from torch.func import functional_call, vmap


def check_stackable(member: nn.Module) -> None:
    """Raise a ValueError unless :func:`stacked_losses` gives the member's own losses.

    Args:
        member: an MMPretrain ``ImageClassifier``.
    """
    head: Any = member.head
    if not isinstance(head, ClsHead) or type(head).loss is not ClsHead.loss:
        raise ValueError(
            f"compute='stacked' takes the losses of MMPretrain's ClsHead from the logits, but "
            f"{type(head).__name__} has a loss of its own; use compute='loop'"
        )


def stacked_losses(
    members: Sequence[nn.Module], inputs: Sequence[Tensor], data_samples: Sequence[Any]
) -> list[dict[str, Tensor]]:
    """Every member's losses, from one ``torch.func.vmap`` over the members.

    The parameters are stacked inside the graph, so gradients arrive at each member's own
    parameters. What the pass writes into buffers (BatchNorm's statistics) is copied back.
    Drop-path draws for every member by itself, out of the global generator.

    Args:
        members: k classifiers of one configuration.
        inputs: k tensors (N, 3, H, W).
        data_samples: k times N samples.

    Returns:
        One dict of scalars a member.

    Raises:
        ValueError: the model has an operation that vmap cannot run.
    """
    template = members[0]
    buffers = _stack([dict(member.named_buffers()) for member in members])

    def logits_of(parameters: Any, buffers: Any, images: Tensor) -> Tensor:
        return functional_call(template, (parameters, buffers), (images,), {"mode": "tensor"})

    try:
        logits = vmap(logits_of, randomness="different")(
            _stack([dict(member.named_parameters()) for member in members]),
            buffers,
            torch.stack(list(inputs)),
        )
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ValueError(
            f"compute='stacked': this model fails under torch.func.vmap ({error}); use "
            "compute='loop'"
        ) from error
    with torch.no_grad():
        for position, member in enumerate(members):
            for name, buffer in member.named_buffers():
                buffer.copy_(buffers[name][position])
    heads: list[Any] = [member.head for member in members]
    return [
        head._get_loss(own, samples)
        for head, own, samples in zip(heads, logits, data_samples, strict=True)
    ]


def _stack(tensors: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([own[name] for own in tensors]) for name in tensors[0]}
