"""Centred and scaled residual streams: other weights, the same function.

A LayerNorm subtracts the mean over its channels and divides by their standard deviation. So a model
all of whose stream is read through LayerNorms does not change when every tensor that writes the
stream loses its mean over the stream's channels, nor (up to the LayerNorms' ``eps``) when all of
them are multiplied by one factor. Coupled parents share their LayerNorms' statistics; with streams
of mean zero and of one variance, the shared statistics are close to each parent's own.

The writers are told by the layout alone: weights, biases, tokens and position tables with an axis
that writes a space of kind ``stream``. Scales and shifts are a LayerNorm's or a layer scale's own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mmrbdc.growth.errors import GrowthError
from mmrbdc.growth.layout import Layout, Space

_WRITERS = ("weight", "bias", "token", "position")


def check_streams(layout: Layout) -> None:
    """Check, before there are weights, that streams can be centred and scaled.

    Raises:
        GrowthError: No LayerNorm reads a stream, something else does, a norm writes one, or a layer
            scale stands behind the writers.
    """
    for stream in _streams(layout):
        if stream.layer_scales:
            raise GrowthError(
                f"'{stream.layer_scales[0]}' scales the channels of a branch behind its last "
                f"weight, so the mean over '{stream.space.name}' cannot be taken out of the "
                "weights; leave the streams plain"
            )


def centre_stream(state: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Give the residual stream of every token the mean zero over channels, in every layer.

    ``W' = W - mean over stream channels of W`` for each writer: a sum of vectors of mean zero has
    mean zero. LayerNorm does not see the mean that is gone, so the model's function stays exactly.

    Args:
        state: A model's tensors.
        layout: Of that model, at its own width.

    Returns:
        New tensors for the writers, the others as they are.

    Raises:
        GrowthError: The tensors do not fit the layout, or :func:`check_streams` refuses it.
    """
    check_streams(layout)
    changed = dict(state)
    for stream in _checked_streams(state, layout):
        for name, axis in stream.writers.items():
            changed[name] = _centred(state[name], *axis)
    return changed


def scale_stream(state: Mapping[str, Tensor], layout: Layout, factor: float) -> dict[str, Tensor]:
    """Multiply the residual stream of every token by ``factor``, in every layer.

    Each writer is multiplied; layer scales stay. LayerNorm divides the factor out again except for
    its ``eps``: ``x / sqrt(v + eps)`` becomes ``x / sqrt(v + eps / factor^2)``, so the function is
    kept up to a relative change of about ``eps |1 - 1 / factor^2| / 2v`` at a norm of variance v.

    Args:
        state: A model's tensors.
        layout: Of that model, at its own width.
        factor: Above 0.

    Returns:
        New tensors for the writers, the others as they are.

    Raises:
        GrowthError: A factor that is not positive, or what :func:`centre_stream` refuses, except
            that layer scales do no harm here.
    """
    if not (math.isfinite(factor) and factor > 0):
        raise GrowthError(f"a stream cannot be scaled by {factor}; choose a factor above 0")
    changed = dict(state)
    for stream in _checked_streams(state, layout):
        changed.update({name: state[name] * factor for name in stream.writers})
    return changed


def matching_factors(variances: Tensor) -> Tensor:
    """Factors for :func:`scale_stream` that make the parents' stream variances agree best.

    A factor ``s_i`` multiplies every variance of parent i by ``s_i^2``. Chosen are the factors, of
    geometric mean 1, and common variances ``c_l`` that minimise
    ``sum_i sum_l (log(s_i^2 v_il) - log c_l)^2``, which gives

    ``log s_i = 1/2 mean_l (mean_j log v_jl - log v_il)``.

    Args:
        variances: (k parents, L norms), mean variance of each parent's stream in front of each
            LayerNorm.

    Returns:
        (k,), float64.

    Raises:
        GrowthError: Another shape, fewer than two parents, or a variance that is not positive.
    """
    if variances.ndim != 2 or variances.shape[0] < 2 or variances.shape[1] < 1:
        raise GrowthError(
            f"variances have shape {tuple(variances.shape)}; expected (parents, norms) with at "
            "least two parents and one norm"
        )
    bad = ~(variances.isfinite() & (variances > 0))
    if bad.any():
        parent, norm = bad.nonzero()[0].tolist()
        raise GrowthError(
            f"the stream of parent {parent} has variance {variances[parent, norm].item()} in front "
            f"of norm {norm}; it must be positive and finite: is the parent trained?"
        )
    logs = variances.double().log()
    return ((logs.mean(0) - logs).mean(1) / 2).exp()


def stream_norms(layout: Layout) -> tuple[str, ...]:
    """Module names of the LayerNorms in front of the readers of the residual streams.

    Raises:
        GrowthError: There are none, or the streams cannot be scaled.
    """
    return tuple(norm for stream in _streams(layout) for norm in stream.space.reader_norms)


@dataclass(frozen=True)
class _Stream:
    """A residual stream that LayerNorms read.

    Attributes:
        space: Its channels.
        writers: Dimension of each writer that holds the channels, and how many maps it fuses.
        layer_scales: Scales behind writers.
    """

    space: Space
    writers: dict[str, tuple[int, int]]
    layer_scales: tuple[str, ...]


def _checked_streams(state: Mapping[str, Tensor], layout: Layout) -> list[_Stream]:
    streams = _streams(layout)
    for name, size in layout.space_sizes(state, "the model").items():
        if size != layout.spaces[name].size:
            raise GrowthError(
                f"the model's space '{name}' is {size} wide, its layout's "
                f"{layout.spaces[name].size}; pass the layout of the model's own width"
            )
    return streams


def _streams(layout: Layout) -> list[_Stream]:
    """The streams that LayerNorms read, or the reason why one of them cannot be changed."""
    batch_norms = {_module(n) for n, entry in layout.entries.items() if entry.role == "statistic"}
    spaces = [
        space
        for space in layout.spaces.values()
        if space.kind == "stream" and set(space.reader_norms) - batch_norms
    ]
    if not spaces:
        raise GrowthError(
            "the layout has no residual stream that a LayerNorm reads; BatchNorm works channel by "
            "channel, so coupling is exact already: leave the streams plain"
        )
    return [_stream(layout, space) for space in spaces]


def _stream(layout: Layout, space: Space) -> _Stream:
    entries = layout.entries
    writing = {
        name: (dim, axis.fused)
        for name, entry in entries.items()
        for dim, axis in enumerate(entry.axes)
        if axis.mode == "writes" and axis.space == space.name
    }
    norms = {_module(name) for name in writing if entries[name].role == "shift"}
    others = sorted(norms - set(space.reader_norms))
    if others:
        raise GrowthError(
            f"norm '{others[0]}' writes '{space.name}' itself, and its output cannot be centred or "
            "scaled by the weights in front of it; leave the streams plain"
        )
    norm_blocks = {entries[f"{norm}.weight"].block for norm in space.reader_norms}
    for name, entry in entries.items():
        reads = any(axis.mode == "reads" and axis.space == space.name for axis in entry.axes)
        if reads and entry.block not in norm_blocks:
            raise GrowthError(
                f"'{name}' reads '{space.name}' without a LayerNorm in front, so it would see the "
                "change; leave the streams plain, or give the model a final norm"
            )
    return _Stream(
        space,
        writers={name: axis for name, axis in writing.items() if entries[name].role in _WRITERS},
        layer_scales=tuple(
            name for name in writing if entries[name].role == "scale" and _module(name) not in norms
        ),
    )


def _centred(tensor: Tensor, dim: int, fused: int) -> Tensor:
    maps = tensor.double().unflatten(dim, (fused, -1))
    return (maps - maps.mean(dim + 1, keepdim=True)).reshape(tensor.shape).to(tensor.dtype)


def _module(tensor_name: str) -> str:
    return tensor_name.rpartition(".")[0]
