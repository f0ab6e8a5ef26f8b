"""The final model of a protocol, for those who did not train it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from mmrbdc.weights.atomic import atomic_write, write_json
from mmrbdc.weights.finite import check_numbers
from mmrbdc.weights.member import check_plain, plain_tensors, save_member
from mmrbdc.weights.read import SAFETENSORS_META, file_sha256

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def publish(
    stem: str | Path, state_dict: Mapping[str, Tensor], meta: dict[str, Any]
) -> dict[str, Path]:
    """Write ``stem.pth``, ``stem.safetensors`` and the side-car ``stem.json``.

    The side-car comes last: where it is, the two others are complete. It holds ``meta``, the
    SHA-256 of the ``.pth`` (``sha256``) and the number of parameters (``num_params``, BatchNorm's
    statistics not counted).

    Args:
        stem: path without suffix.
        state_dict: name -> tensor.
        meta: plain JSON types, see :func:`mmrbdc.weights.save_member`.

    Returns:
        The three paths, by ``'pth'``, ``'safetensors'`` and ``'json'``.

    Raises:
        WeightsError: as :func:`mmrbdc.weights.save_member`; older files are left as they are then.
    """
    check_plain(meta, "meta")
    check_numbers(state_dict, f"not written: {stem}")
    paths = {suffix: Path(f"{stem}.{suffix}") for suffix in ("pth", "safetensors", "json")}
    paths["json"].unlink(missing_ok=True)
    save_member(paths["pth"], state_dict, meta)
    tensors = plain_tensors(state_dict)
    packed = save(tensors, metadata={SAFETENSORS_META: json.dumps(meta)})
    atomic_write(paths["safetensors"], lambda file: file.write(packed))
    num_params = sum(t.numel() for n, t in tensors.items() if not n.endswith(_STATISTICS))
    side_car = {**meta, "sha256": file_sha256(paths["pth"]), "num_params": num_params}
    write_json(paths["json"], side_car)
    return paths
