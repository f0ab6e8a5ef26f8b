"""What lies beside a file of weights in other libraries: mean and std, size and class names."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mmrbdc.families import get_family
from mmrbdc.families.dialect import BACKBONE
from mmrbdc.families.family import WrittenModel
from mmrbdc.weights.errors import WeightsError
from mmrbdc.weights.libraries.huggingface_config import (
    class_labels,
    class_record,
    pixel_record,
    processor_config,
)
from mmrbdc.weights.libraries.recognise import Recognised
from mmrbdc.weights.libraries.timm_config import timm_config, timm_record
from mmrbdc.weights.record import DataRecord, shown_classes

_LIBRARIES_FILES = ("model.safetensors", "pytorch_model.bin")
"""Files of weights that libraries look for by name, with ``config.json`` beside."""
_CONFIG, _PROCESSOR = "config.json", "preprocessor_config.json"


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
    family = get_family(found.family)
    describe = family.configs.get(library)
    if record == DataRecord() or describe is None:
        return {}, []
    declared = family.of_its_own(found.declared)
    own = found.shapes.architecture if declared is None else declared
    untold = found.shapes.untold if declared is None else ()
    model, notes = describe(WrittenModel(own, untold, tensors, found.libraries))
    classes = _classes(found) or 0
    if library == "timm":
        return {_beside(target, _CONFIG): timm_config(classes, record, model)}, notes
    files = {_beside(target, _CONFIG): {**model, **class_labels(classes, record)}}
    if record.preprocessing is not None:
        files[_beside(target, _PROCESSOR)] = processor_config(record.preprocessing)
    return files, notes


def in_rgb(
    state_dict: Mapping[str, Tensor], record: DataRecord, family: str
) -> tuple[dict[str, Tensor], DataRecord, list[str]]:
    """Make a model that takes BGR one that takes RGB and computes the same, for libraries that know
    no BGR: the colours of its first map are exchanged.

    Returns:
        Tensors in MMPretrain's names, the record, and what was done.
    """
    pixels = record.preprocessing
    if pixels is None or pixels.channels != "bgr":
        return dict(state_dict), record, []
    first = [f"{BACKBONE}{module}.weight" for module in get_family(family).input_maps]
    turned = {n: t.flip(1) if n in first else t for n, t in state_dict.items()}
    note = (
        "the model takes BGR, this library gives RGB: the input colours of its first map are "
        "exchanged, so that it computes the same"
    )
    return turned, replace(record, preprocessing=pixels.swapped()), [note]


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
