"""Reading checkpoint files without ever running code from them."""

import argparse
import hashlib
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mmrbdc.weights.errors import WeightsError
from mmrbdc.weights.finite import check_numbers
from mmrbdc.weights.prefixes import strip_wrapper_prefixes
from mmrbdc.weights.stock import LogBuffer, stock_mmengine_globals

SAFETENSORS_META = "mmrbdc"
"""The key under which a .safetensors file of ours carries its meta, as JSON."""

_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"
_EMA_PREFIX = "module."
_TRAINING_SCRIPTS = {"state_dict": "state_dict_ema", "model": "model_ema"}
"""Where timm's and the official DeiT's training scripts keep the weights and their average."""
_MEMBER_NAME = re.compile(r"members\.(\d+)\.(.+)")


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one file.

    Attributes:
        path: where it was read from.
        state_dict: name -> tensor on the CPU, without wrapper prefixes.
        meta: the file's ``meta``, empty when it has none.
        weights: ``'raw'`` or ``'ema'``: which of the two the tensors are.
        sha256: of the whole file, hexadecimal.
    """

    path: Path
    state_dict: dict[str, Tensor]
    meta: dict[str, Any] = field(repr=False)
    weights: str
    sha256: str


def read_checkpoint(
    path: str | Path, *, weights: Literal["raw", "ema"] | None = None
) -> Checkpoint:
    """Read the weights of a plain state dict, a member file, a training checkpoint or safetensors.

    A training checkpoint may hold two models. MMEngine's ``EMAHook`` makes ``state_dict`` the
    average and ``ema_state_dict['module.*']`` the raw weights; timm's and the official DeiT's
    scripts call the average ``state_dict_ema`` and ``model_ema``. Which one is meant is never
    guessed.

    Args:
        path: a ``.pth``, ``.bin`` or ``.safetensors`` file, whatever it is called.
        weights: ``'raw'`` or ``'ema'``. None takes what the file has, if it has only one.

    Raises:
        WeightsError: no such file; truncated; not a checkpoint; pickled code in it (which is not
            run); both EMA and raw weights and no choice; the chosen ones are not there; values
            that are not finite (:func:`mmrbdc.weights.check_numbers`).
    """
    if weights not in (None, "raw", "ema"):
        raise WeightsError(f"weights={weights!r}: choose 'raw' or 'ema'")
    path = Path(path)
    tensors, meta, which = chosen_weights(safe_load(path), path, weights)
    return Checkpoint(path, tensors, meta, which, file_sha256(path))


def read_meta(path: str | Path) -> dict[str, Any]:
    """Read the meta of a file of ours, :func:`mmrbdc.weights.save_member`'s, and not its weights.

    Raises:
        WeightsError: no such file, or it is damaged or another kind of file.
    """
    path = Path(path)
    _is_safetensors(path)
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["meta"])
    except Exception as error:  # torch, zipfile and pickle have a dozen ways to say it
        raise WeightsError(
            f"{path} is damaged or not a member's file ({_first_line(error)}). Copy or make it "
            "again."
        ) from None


def chosen_weights(
    content: Any, path: Path | str, weights: Literal["raw", "ema"] | None = None
) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Take the weights out of what a file holds; see :func:`read_checkpoint`.

    Args:
        content: of the file, as :func:`safe_load` reads it.
        path: of the file, for errors.
        weights: as there.

    Returns:
        Name -> tensor, the file's meta, and ``'raw'`` or ``'ema'``.
    """
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path} is not a checkpoint: it holds a {type(content).__name__}, not a dict of "
            "tensors. Give a .pth with a state dict or MMEngine's checkpoint."
        )
    meta = content.get("meta", {}) if "state_dict" in content else {}
    if not isinstance(meta, dict):
        raise WeightsError(f"{path}: its 'meta' is a {type(meta).__name__}, not a dict")
    state_dict, which = _choose(content, meta, weights, path)
    tensors = _checked_tensors(state_dict, path)
    check_numbers(tensors, path)
    return tensors, meta, which


def read_model(path: str | Path, *, weights: Literal["raw", "ema"] | None = None) -> Checkpoint:
    """Read one model: as :func:`read_checkpoint`, and a stage's training checkpoint, whose names
    begin with ``members.<i>.``, where the stage has one member.

    Raises:
        WeightsError: also for the checkpoint of a stage of several members.
    """
    checkpoint = read_checkpoint(path, weights=weights)
    found = [_MEMBER_NAME.fullmatch(name) for name in checkpoint.state_dict]
    if not all(found):
        return checkpoint
    members = {match[1] for match in found if match}
    if len(members) > 1:
        raise WeightsError(
            f"{path} is the checkpoint of a stage of {len(members)} members, for --resume; take "
            f"a member's own file, like {checkpoint.path.parent / 'members' / '0.pth'}"
        )
    state = {match[2]: checkpoint.state_dict[match[0]] for match in found if match}
    return replace(checkpoint, state_dict=state)


def safe_load(path: str | Path) -> Any:
    """Load a file with ``weights_only=True``; MMEngine's log buffers are allowed and little else.

    Our files need no allow-list. A file that does is read again with the short list of
    :mod:`mmrbdc.weights.stock` and ``argparse.Namespace``, the plain object in which timm's and
    DeiT's training scripts save their arguments. There is no fall-back to unpickling.

    Returns:
        The file's content, tensors on the CPU. For safetensors a dict like a checkpoint of ours:
        ``state_dict`` and ``meta``.

    Raises:
        WeightsError: as :func:`read_checkpoint`.
    """
    path = Path(path)
    if _is_safetensors(path):
        return _load_safetensors(path)
    try:
        return _load_pickle(path)
    except WeightsError as error:
        raise WeightsError(
            f"{path} was refused: it holds {error}, which is code and no weights, and was not run. "
            "If you trust who made it, let them save the tensors alone: "
            "torch.save(model.state_dict(), ...)."
        ) from None
    except Exception as error:  # torch, zipfile and pickle have a dozen ways to say it
        raise WeightsError(
            f"{path} is damaged or not a checkpoint ({_first_line(error)}). Copy or make it again."
        ) from None


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _is_safetensors(path: Path) -> bool:
    """Whether it is safetensors, and else a checkpoint that is whole as far as its ends tell.

    Raises:
        WeightsError: it is neither.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise WeightsError(f"checkpoint {path} {what}")
    with open(path, "rb") as file:
        head = file.read(16)
    if not head:
        raise WeightsError(f"{path} is empty (0 bytes): copy or make it again")
    if head[8:9] == b"{" or path.suffix == ".safetensors":
        return True
    if head.startswith(_ZIP_MAGIC) and not zipfile.is_zipfile(path):
        raise WeightsError(
            f"{path} is truncated: it begins as a checkpoint and has no end "
            f"({path.stat().st_size} bytes). Copy or make it again."
        )
    if not head.startswith((_ZIP_MAGIC, _PICKLE_MAGIC)):
        raise WeightsError(f"{path} is not a checkpoint: it begins with {head!r}")
    return False


def _load_pickle(path: Path) -> Any:
    """Load a pickle of tensors; a WeightsError names code in it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if (member := archive.testzip()) is not None:  # torch does not check the sums itself
                raise ValueError(f"bad checksum in {member}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if _refused_global(error) is None:
            raise
    try:
        allowed = [*stock_mmengine_globals(LogBuffer), argparse.Namespace]
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = _refused_global(error)
        if refused is None:
            raise
        raise WeightsError(refused) from None


def _load_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            meta = json.loads((file.metadata() or {}).get(SAFETENSORS_META, "{}"))
            names = file.keys()
            return {"state_dict": {name: file.get_tensor(name) for name in names}, "meta": meta}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is truncated or not a safetensors file ({_first_line(error)}). "
            "Copy or make it again."
        ) from None


def _choose(
    content: Mapping[str, Any], meta: Mapping[str, Any], weights: str | None, path: Path | str
) -> tuple[Any, str]:
    """Return the chosen state dict, still unchecked, and whether it is ``'raw'`` or ``'ema'``."""
    models = _models(content, meta, path)
    if len(models) == 1:
        only = next(iter(models))
        if weights not in (None, only):
            raise WeightsError(
                f"{path} has no {weights!r} weights, only {only!r}: ask for those, or train with "
                "EMAHook and give the training checkpoint"
            )
        return models[only], only
    if weights is None:
        raise WeightsError(
            f"{path} holds two models, the raw weights and their moving average: choose with "
            "weights='raw' or weights='ema'"
        )
    return models[weights], weights


def _models(
    content: Mapping[str, Any], meta: Mapping[str, Any], path: Path | str
) -> dict[str, Any]:
    """Return what a file holds by ``'raw'`` and ``'ema'``: one or both."""
    if "state_dict" in content and "ema_state_dict" in content:
        averaged = content["ema_state_dict"]
        if not isinstance(averaged, Mapping):
            raise WeightsError(f"{path}: its 'ema_state_dict' is not a dict of tensors")
        raw = {
            name[len(_EMA_PREFIX) :]: value
            for name, value in averaged.items()
            if name.startswith(_EMA_PREFIX)
        }
        return {"raw": raw, "ema": content["state_dict"]}
    for live, averaged in _TRAINING_SCRIPTS.items():
        if isinstance(content.get(live), Mapping):
            if isinstance(content.get(averaged), Mapping):
                return {"raw": content[live], "ema": content[averaged]}
            return {str(meta.get("weights", "raw")): content[live]}
    return {"raw": content}


def _checked_tensors(state_dict: Any, path: Path | str) -> dict[str, Tensor]:
    if not isinstance(state_dict, Mapping) or not state_dict:
        raise WeightsError(f"{path} is not a checkpoint: no dict of tensors in it, or an empty one")
    for name, value in state_dict.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise WeightsError(
                f"{path} is not a checkpoint: its entry {name!r} is a {type(value).__name__}, not "
                f"a tensor (top-level keys: {', '.join(map(str, list(state_dict)[:6]))}). Give a "
                "state dict, or a file with a 'state_dict'."
            )
    return strip_wrapper_prefixes(state_dict)


def _refused_global(error: pickle.UnpicklingError) -> str | None:
    """Return the name of the code that torch refused, None when reading failed otherwise."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return found.group(1) if found else None


def _first_line(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):  # torch's text would advise to unpickle it
        return "no pickle of tensors"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:120]}" if lines else type(error).__name__
