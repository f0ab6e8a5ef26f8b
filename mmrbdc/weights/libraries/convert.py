"""Files from one library to another: name by name, and back again to the same bits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor

from mmrbdc.families import get_family
from mmrbdc.weights.atomic import atomic_write, write_json
from mmrbdc.weights.errors import WeightsError
from mmrbdc.weights.libraries.recognise import Recognised, check_complete, recognise
from mmrbdc.weights.libraries.side_files import in_rgb, side_files, stored_record
from mmrbdc.weights.member import plain_tensors, save_member
from mmrbdc.weights.read import SAFETENSORS_META, read_model
from mmrbdc.weights.record import DataRecord

LIBRARIES = ("mmpretrain", "timm", "torchvision", "huggingface")
"""Libraries whose names are known. Official DeiT files have timm's."""


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert_file` did.

    Attributes:
        found: the file that was read.
        library: whose names were written.
        path: the file that was written.
        tensors: how many there are in it.
        record: what is known of the model's data, as it was written.
        side_files: what was written beside it: the library's configs.
        notes: what a reader should know of both, one sentence each.
    """

    found: Recognised
    library: str
    path: Path
    tensors: int
    record: DataRecord
    side_files: tuple[Path, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the report for a reader."""
        found = self.found
        left = [f"  left behind: {name}" for name in found.left_behind]
        return [
            f"{found.checkpoint.path}: {found.shapes.label} in {found.library}'s names (prefix "
            f"{found.prefix!r}), {found.checkpoint.weights} weights",
            *left,
            *[f"  {line}" for line in self.record.lines()],
            *[f"  note: {note}" for note in self.notes],
            *[f"wrote {path}" for path in self.side_files],
            f"wrote {self.tensors} tensors in {self.library}'s names to {self.path}",
        ]


def from_mmpretrain(
    state_dict: Mapping[str, Tensor], library: str, family: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Translate MMPretrain's names of a classifier (or its backbone) into a library's.

    Args:
        state_dict: ``backbone.*`` and perhaps ``head.*``.
        library: one of ``LIBRARIES``.
        family: its family, one of ``mmrbdc.families.FAMILIES``.

    Returns:
        The tensors and notes for their reader.

    Raises:
        WeightsError: the library has no such model; names what it lacks.
    """
    tensors, notes, unconfigured = _written(state_dict, library, family)
    return tensors, [*notes, *unconfigured]


def _written(
    state_dict: Mapping[str, Tensor], library: str, family: str
) -> tuple[dict[str, Tensor], list[str], tuple[str, ...]]:
    """As :func:`from_mmpretrain`; apart, the notes that the library's configs make superfluous."""
    if library not in LIBRARIES:
        raise WeightsError(f"unknown library {library!r}; known: {', '.join(LIBRARIES)}")
    kind = get_family(family)
    dialects = [dialect for dialect in kind.dialects if library in dialect.libraries]
    if not dialects:
        raise WeightsError(
            f"no names are known that {library} gives the tensors of a {family}: this model cannot "
            "be written in its names"
        )
    state_dict, notes = kind.trimmed(state_dict, library)
    attempts = [(*dialect.write(state_dict), dialect) for dialect in dialects]
    written, unknown, dialect = min(attempts, key=lambda attempt: len(attempt[1]))
    if unknown:
        without = [name for name in unknown if name not in state_dict]
        what = "needs" if without else "has no place for"
        raise WeightsError(
            f"{library} {what} {', '.join((without or unknown)[:4])} in a {family}: this model "
            f"cannot be written in its names"
        )
    return written, notes, dialect.writing


def convert_file(
    source: str | Path,
    target: str | Path,
    library: str,
    *,
    written_by: str | None = None,
    weights: Literal["raw", "ema"] | None = None,
    prefix: str | None = None,
) -> Conversion:
    """Read one model of whatever library and write it in the names of another.

    Args:
        source: a file, see :func:`mmrbdc.weights.read_checkpoint`.
        target: a new ``.pth``, ``.bin`` or ``.safetensors`` file. In MMPretrain's names it is a
            member file of ours with the meta of ``source``, else a plain state dict. What is known
            of preprocessing and classes goes into that meta, or into the configs that timm and
            Hugging Face keep beside their files: ``NAME.config.json`` for ``NAME.pth``,
            ``config.json`` for ``model.safetensors`` and ``pytorch_model.bin``.
        library: one of ``LIBRARIES``.
        written_by: the library that ``source`` must be of; None takes what it is.
        weights: ``'raw'`` or ``'ema'``, needed for a file that has both.
        prefix: what stands in front of the backbone's names; None looks for it.

    Raises:
        WeightsError: ``target`` exists or has another suffix; ``source`` is not understood, not of
            ``written_by``, incomplete, or of a model that ``library`` does not have. Nothing is
            written.
    """
    target = Path(target)
    check_new(target)
    found = recognise(read_model(source, weights=weights), prefix=prefix)
    if written_by is not None and written_by not in found.libraries:
        raise WeightsError(
            f"{source} is in {found.library}'s names, not in {written_by}'s; leave --from out"
        )
    check_complete(found)
    record, notes = stored_record(found)
    notes = [*found.notes, *notes]
    state_dict: Mapping[str, Tensor] = found.state_dict
    if library != "mmpretrain":
        state_dict, record, turned = in_rgb(state_dict, record, found.family)
        notes += turned
        family = get_family(found.family)
        declared = family.of_its_own(found.declared)
        notes += family.elsewhere(declared) if declared is not None else []
    tensors, spoken, unconfigured = _written(state_dict, library, found.family)
    configs, more = side_files(target, library, tensors, found, record)
    notes += [*spoken, *(() if configs else unconfigured), *more]
    if library != "mmpretrain" and (missing := record.missing()):
        notes.append(f"not recorded in {source}: {', '.join(missing)}; say it where it is used")
    if library == "torchvision" and record != DataRecord():
        notes.append("torchvision keeps neither preprocessing nor class names beside its files")
    for path in configs:
        _check_free(path)
    for path, content in configs.items():
        write_json(path, content)
    _write(target, tensors, library, found, record)
    return Conversion(found, library, target, len(tensors), record, tuple(configs), tuple(notes))


def check_new(path: Path) -> None:
    """Raise a WeightsError unless ``path`` is a new file of a known kind."""
    if path.suffix not in (".pth", ".bin", ".safetensors"):
        raise WeightsError(f"{path}: name a file that ends in .pth, .bin or .safetensors")
    _check_free(path)


def _check_free(path: Path) -> None:
    if path.exists():
        raise WeightsError(f"{path} exists already and is not overwritten; choose another name")


def _write(
    path: Path,
    tensors: Mapping[str, Tensor],
    library: str,
    found: Recognised,
    record: DataRecord,
) -> None:
    plain = plain_tensors(tensors)
    meta: dict[str, Any] = {}
    if library == "mmpretrain":
        meta = {
            **found.own_meta,
            **record.to_meta(),
            "family": found.family,
            "weights": found.checkpoint.weights,
            "converted_from": {"library": found.library, "sha256": found.checkpoint.sha256},
        }
    if path.suffix == ".safetensors":
        labels = {SAFETENSORS_META: json.dumps(meta)} if meta else {"format": "pt"}
        packed = save(plain, metadata=labels)
        atomic_write(path, lambda file: file.write(packed))
    elif meta:
        save_member(path, plain, meta)
    else:
        atomic_write(path, lambda file: torch.save(plain, file))
