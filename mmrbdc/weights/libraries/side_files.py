"""What lies beside a file of weights in other libraries: mean and std, size and class names."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mmrbdc.families import Architecture
from mmrbdc.weights.errors import WeightsError
from mmrbdc.weights.libraries.dialect import BACKBONE
from mmrbdc.weights.libraries.huggingface_config import (
    class_record,
    model_config,
    pixel_record,
    processor_config,
)
from mmrbdc.weights.libraries.recognise import Recognised
from mmrbdc.weights.libraries.timm_config import timm_config, timm_record
from mmrbdc.weights.record import DataRecord, shown_classes

_LIBRARIES_FILES = ("model.safetensors", "pytorch_model.bin")
"""Files of weights that libraries look for by name, with ``config.json`` beside."""
_CONFIG, _PROCESSOR = "config.json", "preprocessor_config.json"
_FIRST_MAPS = ("patch_embed.projection", "conv1", "stem.0.conv")


def stored_record(found: Recognised) -> tuple[DataRecord, list[str]]:
    """Find out what a file's weights were trained on, and notes for a reader.

    The file's own meta counts (ours, MMEngine's); for timm's and Hugging Face's names the configs
    beside it as well: ``NAME.config.json`` for ``NAME.pth``, else ``config.json``. One that is of
    another library, or of a model with other classes, is not used, and a note says so.

    Raises:
        WeightsError: the meta has a record that cannot be read.
    """
    path = found.checkpoint.path
    own = DataRecord.from_meta(found.checkpoint.meta, path)
    if not own.missing() or found.declared is not None:
        return own, []
    notes: list[str] = []
    beside = DataRecord()
    for name in (_CONFIG, _PROCESSOR):
        file = next((p for p in (_beside(path, name), path.parent / name) if p.is_file()), None)
        if file is None:
            continue
        try:
            record = _read(file, name, found)
        except (WeightsError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            notes.append(f"{file} is not used: {error}")
            if name == _CONFIG:  # then the processor's is a stranger's as well
                break
            continue
        beside = beside.or_else(record)
        notes.append(f"read {file}")
    return own.or_else(beside), notes


def side_files(
    target: Path, library: str, tensors: Mapping[str, Tensor], found: Recognised, record: DataRecord
) -> tuple[dict[Path, dict[str, Any]], list[str]]:
    """What a library keeps beside its weights: contents by path, and notes.

    Empty where nothing is known, and for libraries that keep nothing.

    Args:
        target: the file of weights.
        library: whose names it gets.
        tensors: by that library's names.
        found: the model.
        record: of its data, colours in RGB.
    """
    own = found.declared or found.shapes.architecture
    heads_known = found.declared is not None or "num_heads" not in found.shapes.untold
    if record == DataRecord() or library not in ("timm", "huggingface"):
        return {}, []
    if library == "timm":
        classes = _classes(found) or 0
        config, notes = timm_config(own, classes, record, heads_known=heads_known)
        if _only_patches(tensors, own):
            config["model_args"]["no_embed_class"] = True
        return {_beside(target, _CONFIG): config}, notes
    eps = 1e-12 if found.libraries == ("huggingface",) else 1e-6
    config, notes = model_config(own, tensors, record, eps=eps, heads_known=heads_known)
    files = {_beside(target, _CONFIG): config}
    if record.preprocessing is not None:
        files[_beside(target, _PROCESSOR)] = processor_config(record.preprocessing)
    return files, notes


def in_rgb(
    state_dict: Mapping[str, Tensor], record: DataRecord
) -> tuple[dict[str, Tensor], DataRecord, list[str]]:
    """Make a model that takes BGR one that takes RGB and computes the same, for libraries that know
    no BGR: the colours of its first map are exchanged.

    Returns:
        Tensors in MMPretrain's names, the record, and what was done.
    """
    pixels = record.preprocessing
    if pixels is None or pixels.channels != "bgr":
        return dict(state_dict), record, []
    first = [f"{BACKBONE}{name}.weight" for name in _FIRST_MAPS]
    turned = {n: t.flip(1) if n in first else t for n, t in state_dict.items()}
    note = (
        "the model takes BGR, this library gives RGB: the input colours of its first map are "
        "exchanged, so that it computes the same"
    )
    return turned, replace(record, preprocessing=pixels.swapped()), [note]


def _only_patches(tensors: Mapping[str, Tensor], own: Architecture) -> bool:
    """Whether timm's position table has rows for the patches alone, beside a class token."""
    table, grid = tensors.get("pos_embed"), own.grid
    if table is None or grid is None or "cls_token" not in tensors:
        return False
    return table.shape[1] == grid[0] * grid[1]


def _beside(path: Path, name: str) -> Path:
    known = path.name in _LIBRARIES_FILES
    return path.with_name(name if known else f"{path.stem}.{name}")


def _read(file: Path, name: str, found: Recognised) -> DataRecord:
    """Read one of the files, after a look at whether it is this model's.

    Raises:
        WeightsError: it is not.
    """
    content = json.loads(file.read_text(encoding="utf-8"))
    if name == _PROCESSOR:
        if "huggingface" not in found.libraries:
            raise WeightsError(f"it is Hugging Face's, the weights are {found.library}'s")
        return pixel_record(content)
    library = "huggingface" if "model_type" in content else "timm"
    if library not in found.libraries:
        raise WeightsError(f"it looks like {library}'s, the weights are {found.library}'s")
    record, said = class_record(content) if library == "huggingface" else timm_record(content)
    classes = _classes(found)
    if None not in (said, classes) and said != classes:
        raise WeightsError(f"it is of a model of {said} classes, the weights have {classes}")
    if record.classes is not None and classes is not None and len(record.classes) != classes:
        raise WeightsError(f"it names {shown_classes(record)} classes, the weights have {classes}")
    return record


def _classes(found: Recognised) -> int | None:
    """Outputs of the classifier; None for a file without a head."""
    weights = [name for name in found.head() if name.endswith(".weight")]
    return found.state_dict[weights[0]].shape[0] if weights else None
