"""Member files: one trained model, plain tensors and plain meta."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmrbdc.weights.atomic import atomic_write
from mmrbdc.weights.errors import WeightsError
from mmrbdc.weights.finite import check_numbers
from mmrbdc.weights.prefixes import strip_wrapper_prefixes


def save_member(path: str | Path, state_dict: Mapping[str, Tensor], meta: dict[str, Any]) -> None:
    """Write ``dict(state_dict=..., meta=...)`` that ``torch.load(weights_only=True)`` reads as is.

    The tensors are contiguous, on the CPU and without wrapper prefixes, and a slice of a larger
    tensor does not drag its whole storage into the file. Written atomically.

    Args:
        path: the file to write.
        state_dict: name -> tensor.
        meta: plain JSON types. Usual keys: ``family``, ``architecture``, ``weights`` (``'raw'`` or
            ``'ema'``), ``stage``, ``member``, ``seed``, ``config_hash``, ``parents`` (SHA-256 of
            each), ``train_flops``, ``accuracy``, ``method``, ``name``, ``versions``, and those of
            :class:`mmrbdc.weights.DataRecord`.

    Raises:
        WeightsError: something in ``meta`` is no plain JSON type, or a tensor has values that are
            no numbers (:func:`mmrbdc.weights.check_numbers`). Nothing is written.
    """
    check_plain(meta, "meta")
    check_numbers(state_dict, f"not written: {path}")
    content = {"state_dict": plain_tensors(state_dict), "meta": meta}
    atomic_write(path, lambda file: torch.save(content, file))


def plain_tensors(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous tensors on the CPU, each the whole of a storage of its own, without
    gradients and without wrapper prefixes.

    What is so already is not copied: a child of hundreds of megabytes exists once.
    """
    plain: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, value in strip_wrapper_prefixes(state_dict).items():
        tensor = value.detach().to("cpu").contiguous()
        storage = tensor.untyped_storage()
        if storage.nbytes() != tensor.nbytes or storage.data_ptr() in storages:
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        plain[name] = tensor
    return plain


def check_plain(value: Any, where: str) -> None:
    """Raise a WeightsError unless ``value`` is built of JSON's own types; ``where`` names it."""
    if value is None or type(value) in (bool, int, float, str):
        return
    if type(value) is list:
        for i, item in enumerate(value):
            check_plain(item, f"{where}[{i}]")
    elif type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise WeightsError(f"{where} has the key {key!r}: keys are strings")
            check_plain(item, f"{where}[{key!r}]")
    else:
        raise WeightsError(
            f"{where} is a {type(value).__name__}: only None, bool, int, float, str, list and dict "
            "go into a file's meta; convert it first"
        )
