"""How one library writes down one family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mmrbdc.families.names import NameTable

BACKBONE = "backbone."
"""In front of every backbone tensor of MMPretrain's ``ImageClassifier``."""


@dataclass(frozen=True)
class Dialect:
    """The names that libraries give to the tensors of one family.

    Attributes:
        libraries: who uses these names.
        backbone: their names and MMPretrain's, both without what stands in front of a backbone.
        head: their names of the classifier's tensors and MMPretrain's (``head.fc``, ...).
        roots: what the library may put in front of a backbone that has a head; the first one is
            written.
        markers: tensors that every backbone of this kind has, to find it among others.
        needs: tensors (MMPretrain's names in the backbone) without which the library has no such
            model.
        left: module names that MMPretrain has no use for, and that are left behind.
        in_parts: what the library keeps in several tensors that lie behind each other in one of
            MMPretrain's: a piece of its name, and what stands in its place in the parts' names
            (``.qkv.``: ``.q.``, ``.k.``, ``.v.``). The table has the parts' names.
        facts: fields of the architecture that no tensor shows and the library fixes.
        reading: what to say of a file that is read, about what no tensor shows.
        writing: what to say of a file that is written without the library's configs beside it,
            which say it themselves.
    """

    libraries: tuple[str, ...]
    backbone: NameTable
    head: NameTable
    markers: tuple[str, ...]
    roots: tuple[str, ...] = ("",)
    needs: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    in_parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    reading: tuple[str, ...] = ()
    writing: tuple[str, ...] = ()

    def prefixes(self, names: Sequence[str]) -> list[str]:
        """Return everything in front of which all markers stand, in the order of the names."""
        first, *rest = self.markers
        found = [n[: -len(first)] for n in names if n == first or n.endswith("." + first)]
        present = set(names)
        return [p for p in found if all(p + marker in present for marker in rest)]

    def outside(self, prefix: str) -> str:
        """Return the part of a backbone's prefix that stands in front of the head as well."""
        for root in self.roots:
            if root and (prefix == root or prefix.endswith("." + root)):
                return prefix[: -len(root)]
        return prefix

    def read(
        self, tensors: Mapping[str, Tensor], prefix: str
    ) -> tuple[dict[str, Tensor], list[str], list[str]]:
        """Translate the backbone under ``prefix`` and its head into MMPretrain's names.

        Returns:
            The tensors; the names that the table does not know though they stand in the backbone;
            the names of everything else, which is left behind.
        """
        outside = self.outside(prefix)
        found: dict[str, Tensor] = {}
        unknown, others = [], []
        for name, tensor in tensors.items():
            ours = self._read_name(name, prefix, outside)
            if ours in found:
                unknown.append(name)
            elif ours is not None:
                found[ours] = tensor
            elif not name.startswith(prefix) or self._is_left(name[len(prefix) :]):
                others.append(name)
            else:
                unknown.append(name)
        for whole, parts in self.in_parts.items():
            found = joined(found, whole, parts)
        return found, unknown, others

    def write(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Translate MMPretrain's classifier (or its backbone) into the library's names.

        Returns:
            The tensors, and the names for which the library has none.
        """
        for whole, parts in self.in_parts.items():
            tensors = split(tensors, whole, parts)
        written: dict[str, Tensor] = {}
        unknown = [f"{BACKBONE}{name}" for name in self.needs if BACKBONE + name not in tensors]
        for name, tensor in tensors.items():
            inside = name.startswith(BACKBONE)
            table = self.backbone if inside else self.head
            theirs = table.theirs(name.removeprefix(BACKBONE))
            if theirs is None:
                unknown.append(name)
            else:
                written[(self.roots[0] if inside else "") + theirs] = tensor
        return written, unknown

    def _read_name(self, name: str, prefix: str, outside: str) -> str | None:
        if name.startswith(prefix):
            ours = self.backbone.ours(name[len(prefix) :])
            if ours is not None:
                return BACKBONE + ours
        return self.head.ours(name[len(outside) :]) if name.startswith(outside) else None

    def _is_left(self, name: str) -> bool:
        return any(name.startswith(f"{module}.") for module in self.left)


def joined(tensors: Mapping[str, Tensor], whole: str, parts: Sequence[str]) -> dict[str, Tensor]:
    """Join tensors in the order of ``parts``, where all of them are there.

    Args:
        tensors: by name.
        whole: a piece of the joint tensor's name.
        parts: what stands in its place in the names of its parts.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        kind = next((part for part in parts if part in name), None)
        all_parts = [name.replace(kind, part) for part in parts] if kind else []
        if not all_parts or any(part not in tensors for part in all_parts):
            found[name] = tensor
        elif kind == parts[0]:
            found[name.replace(kind, whole)] = torch.cat([tensors[part] for part in all_parts])
    return found


def split(tensors: Mapping[str, Tensor], whole: str, parts: Sequence[str]) -> dict[str, Tensor]:
    """Take apart what :func:`joined` joins: parts of equal length."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if whole in name:
            for part, rows in zip(parts, tensor.chunk(len(parts)), strict=True):
                found[name.replace(whole, part)] = rows
        else:
            found[name] = tensor
    return found
