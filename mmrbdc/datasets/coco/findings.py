"""What is found in a COCO file: where it is, what is there, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmrbdc.wording import quoted, shown

SINGULAR = {"images": "image", "annotations": "annotation", "categories": "category"}


class _Missing:
    def __repr__(self) -> str:
        return "missing"


MISSING: Any = _Missing()
"""Stands for the value of a field that is not there."""


@dataclass(frozen=True)
class Finding:
    """One kind of thing that is wrong in a file, or worth knowing.

    Attributes:
        file: in which it is.
        section: ``images``, ``annotations``, ``categories``, or empty for the file as a whole.
        ids: of all entries that have it; where an entry has no usable id, ``[position]``.
        field: the field of these entries; empty for the file as a whole.
        value: what the first of them has there.
        problem: what is wrong, in words that follow the value.
        remedy: what to do.
    """

    file: Path
    section: str
    ids: tuple[int | str, ...]
    field: str
    value: Any
    problem: str
    remedy: str

    @property
    def what(self) -> str:
        """The finding without its file."""
        told = f"{self.problem}; {self.remedy}" if self.remedy else self.problem
        if not self.section:
            return told
        first = self.ids[0]
        place = f"{self.section}{first}" if isinstance(first, str) else f"{self._name} {first}"
        have = f"'{self.field}' is {shown(self.value)}" if self.field else shown(self.value)
        many = f" ({len(self.ids):,} such {self.section}: {quoted(self.ids, by=str)})"
        return f"{place}: {have}, {self.problem}{many if len(self.ids) > 1 else ''}" + (
            f"; {self.remedy}" if self.remedy else ""
        )

    @property
    def _name(self) -> str:
        return SINGULAR[self.section]

    def __str__(self) -> str:
        return f"'{self.file}': {self.what}"


class Findings:
    """Collects what is found in one file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.errors: list[Finding] = []
        self.remarks: list[Finding] = []

    def error(self, problem: str, remedy: str = "") -> None:
        """Note that the file as a whole is wrong."""
        self.errors.append(Finding(self.file, "", (), "", None, problem, remedy))

    def remark(self, problem: str) -> None:
        """Note something about the file as a whole."""
        self.remarks.append(Finding(self.file, "", (), "", None, problem, ""))

    def entries(
        self,
        section: str,
        ids: Sequence[int | str],
        field: str,
        value: Any,
        problem: str,
        remedy: str = "",
        *,
        is_error: bool = True,
    ) -> None:
        """Note that the field of some entries is wrong; ``value`` is the first one's."""
        if ids:
            target = self.errors if is_error else self.remarks
            target.append(Finding(self.file, section, tuple(ids), field, value, problem, remedy))
