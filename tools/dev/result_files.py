"""What a work dir's files say of its results, and where two of them differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_JSON = ("junction.json", "ledger.json", "curve.json", "test.json", "val.json")
_PREDICTIONS = "*predictions.*.json"
_PASSED_OVER = frozenset(
    ("wall_s", "config_hash", "sha256", "path", "throughput", "versions", "images", "checkpoint")
)
"""Of the JSON files: what depends on clock, folder or machine."""


@dataclass(frozen=True)
class Difference:
    """One value that two folders do not share.

    Attributes:
        file: below the folders.
        what: tensor, key, or ``""`` for the whole file.
        old: value in the first, as text.
        new: value in the second.
    """

    file: str
    what: str
    old: str
    new: str

    @property
    def in_ledger(self) -> bool:
        """Whether it is a figure of what was spent, not of what came out."""
        return Path(self.file).name == "ledger.json" or self.what.endswith("flops")


def compare_folders(old: Path, new: Path) -> tuple[int, list[Difference]]:
    """Compare the results below two folders.

    Looked at are all final and members' weights and a detector's newest checkpoint (tensors equal
    to the bit), accuracies, curves, junctions, predictions and ledgers (values equal).

    Returns:
        How many values were compared, and those that differ.
    """
    names = sorted(set(_result_files(old)) | set(_result_files(new)))
    compared, found = 0, []
    for name in names:
        if not (old / name).is_file() or not (new / name).is_file():
            here, there = (("there" if (f / name).is_file() else "missing") for f in (old, new))
            found.append(Difference(name, "", here, there))
            continue
        one, other = _read(old / name), _read(new / name)
        compared += len(one)
        for key in sorted(one.keys() | other.keys()):
            a, b = one.get(key), other.get(key)
            if not _equal(a, b):
                found.append(Difference(name, key, _shown(a), _shown(b)))
    return compared, found


def _result_files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        weights = path.suffix == ".safetensors" or path.match("members/*.pth")
        if path.name in _JSON or path.match(_PREDICTIONS) or weights or _is_detector(path):
            yield str(path.relative_to(folder))


def _is_detector(path: Path) -> bool:
    """Whether it is the newest checkpoint of a run that is no stage of a protocol."""
    if not path.match("epoch_*.pth") or path.parent.name.startswith("stage"):
        return False
    return path == _newest(path.parent)


def _newest(folder: Path) -> Path:
    def number(path: Path) -> int:
        return int(re.findall(r"\d+", path.stem)[-1])

    return max(folder.glob("epoch_*.pth"), key=number)


def _read(path: Path) -> dict[str, Any]:
    """Every value of a file under a name of its own."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    if path.suffix == ".pth":
        content = torch.load(path, map_location="cpu", weights_only=True)
        return dict(content["state_dict"])
    return dict(_leaves(json.loads(path.read_text())))


def _leaves(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in _PASSED_OVER:
                yield from _leaves(value, f"{where}.{key}" if where else key)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _leaves(value, f"{where}.{number}" if where else str(number))
    else:
        yield where, node


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        same_kind = one.dtype == other.dtype and one.shape == other.shape
        return same_kind and torch.equal(one, other)
    return type(one) is type(other) and one == other


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        shape = "x".join(map(str, value.shape)) or "scalar"
        return f"{str(value.dtype).removeprefix('torch.')} {shape}, sum {value.double().sum():.17g}"
    return "missing" if value is None else repr(value)
