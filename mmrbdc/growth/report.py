"""What a growth step did, tensor by tensor, as data and as a short table."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor

from mmrbdc.growth.layout import Layout
from mmrbdc.growth.placement import Block, Placement

NOT_LEARNED = ("statistic", "counter")
"""Roles that are not parameters and do not count in the share of zeros."""


@dataclass(frozen=True)
class TensorReport:
    """One tensor of the child.

    Attributes:
        name: its name.
        shape: its shape.
        role: from the layout.
        block: number of its residual block, from the layout.
        rule: what the operator did, in a word.
        blocks: the boxes that hold single parents' numbers.
        zeros: how many of its numbers are zero.
    """

    name: str
    shape: tuple[int, ...]
    role: str
    block: int | None
    rule: str
    blocks: tuple[Block, ...]
    zeros: int

    @property
    def numel(self) -> int:
        """Number of entries."""
        return prod(self.shape)


@dataclass(frozen=True)
class GrowthReport:
    """What one growth step did.

    Attributes:
        operator: name of the operator.
        parent_sizes: for each parent the size of each space.
        child_sizes: size of each space of the child.
        space_kinds: kind of each space.
        tensors: one report per tensor, in the order of the layout.
    """

    operator: str
    parent_sizes: tuple[dict[str, int], ...]
    child_sizes: dict[str, int]
    space_kinds: dict[str, str]
    tensors: tuple[TensorReport, ...]

    @property
    def num_parameters(self) -> int:
        """Learned numbers of the child: statistics and counters are not counted."""
        return sum(t.numel for t in self.tensors if t.role not in NOT_LEARNED)

    @property
    def zero_parameters(self) -> int:
        """How many of the learned numbers are zero."""
        return sum(t.zeros for t in self.tensors if t.role not in NOT_LEARNED)

    @property
    def between_parents(self) -> int:
        """How many of the learned numbers belong to no single parent: they are off the diagonal."""
        return sum(
            t.numel - sum(block.numel for block in t.blocks)
            for t in self.tensors
            if t.blocks and t.role not in NOT_LEARNED
        )

    @property
    def zero_share(self) -> float:
        """Share of the learned numbers that are zero, 0 to 1."""
        return self.zero_parameters / self.num_parameters

    def to_dict(self) -> dict[str, Any]:
        """The report in plain JSON types."""
        return {
            "operator": self.operator,
            "num_parameters": self.num_parameters,
            "zero_parameters": self.zero_parameters,
            "zero_share": self.zero_share,
            "between_parents": self.between_parents,
            "spaces": {
                name: {
                    "kind": self.space_kinds[name],
                    "size": size,
                    "parents": [sizes.get(name, 0) for sizes in self.parent_sizes],
                }
                for name, size in self.child_sizes.items()
            },
            "tensors": {
                t.name: {
                    "shape": list(t.shape),
                    "role": t.role,
                    "rule": t.rule,
                    "zero_share": t.zeros / t.numel,
                    "blocks": [
                        {"parent": b.parent, "ranges": [list(r) for r in b.ranges]}
                        for b in t.blocks
                    ],
                }
                for t in self.tensors
            },
        }

    def summary_lines(self) -> list[str]:
        """The report as tables for a person: spaces, groups of tensors, the share of zeros."""
        return [
            *self._space_lines(),
            "",
            *self._tensor_lines(),
            "",
            f"{self.num_parameters:,} parameters, {self.zero_parameters:,} zero "
            f"({self.zero_share:.1%})"
            + (
                f"; {between:,} between the parents' blocks"
                if (between := self.between_parents)
                else ""
            ),
        ]

    def _space_lines(self) -> list[str]:
        groups: dict[tuple[str, str, tuple[float, ...]], list[tuple[int, tuple[int, ...]]]] = {}
        for name, size in self.child_sizes.items():
            widths = tuple(sizes.get(name, 0) for sizes in self.parent_sizes)
            shares = tuple(width / size for width in widths)
            key = (_pattern(name), self.space_kinds[name], shares)
            groups.setdefault(key, []).append((size, widths))
        rows = [("channel space", "count", "kind", "width", "channels of each parent")]
        for (pattern, kind, _), members in groups.items():
            ends = dict.fromkeys((min(members), max(members)))
            rows.append(
                (
                    pattern,
                    str(len(members)),
                    kind,
                    " .. ".join(str(size) for size, _ in ends),
                    " .. ".join(_spans(widths, size) for size, widths in ends),
                )
            )
        return _aligned(rows, right=(1,))

    def _tensor_lines(self) -> list[str]:
        groups: dict[tuple[str, str, bool], list[TensorReport]] = {}
        for tensor in self.tensors:
            module = tensor.name.rpartition(".")[0]
            if tensor.role == "counter":
                module = "*"
            elif tensor.block is not None:
                module = _pattern(module)
            # A matrix and its bias differ in what is zero: they get rows of their own.
            groups.setdefault((module, tensor.rule, len(tensor.shape) > 1), []).append(tensor)
        rows = [("tensors", "count", "shape in the child", "rule", "zeros")]
        for (module, rule, _), members in groups.items():
            leaves = list(dict.fromkeys(tensor.name.rpartition(".")[2] for tensor in members))
            names = leaves[0] if len(leaves) == 1 else "{" + ",".join(leaves) + "}"
            zeros = sum(t.zeros for t in members) / sum(t.numel for t in members)
            rows.append(
                (
                    f"{module}.{'*' if len(leaves) > 3 else names}",
                    str(len(members)),
                    _shapes(members),
                    rule,
                    "-" if members[0].role == "counter" else f"{zeros:.1%}",
                )
            )
        return _aligned(rows, right=(1, 4))


def make_report(
    operator: str,
    layout: Layout,
    parent_sizes: Sequence[Mapping[str, int]],
    placements: Mapping[str, Placement],
    child: Mapping[str, Tensor],
) -> GrowthReport:
    """Collect what an operator said and what the child's tensors hold.

    Args:
        operator: its name.
        layout: the child's.
        parent_sizes: for each parent the size of each space.
        placements: what the operator says of each tensor.
        child: the child's state dict.
    """
    return GrowthReport(
        operator=operator,
        parent_sizes=tuple(dict(sizes) for sizes in parent_sizes),
        child_sizes=layout.sizes,
        space_kinds={name: space.kind for name, space in layout.spaces.items()},
        tensors=tuple(
            TensorReport(
                name=name,
                shape=tuple(child[name].shape),
                role=entry.role,
                block=entry.block,
                rule=str(placements[name].rule),
                blocks=placements[name].blocks,
                zeros=child[name].numel() - int(child[name].count_nonzero()),
            )
            for name, entry in layout.entries.items()
        ),
    )


def _pattern(name: str) -> str:
    """A dotted name with its first numbers, which count layers and blocks, replaced by ``*``."""
    return re.sub(r"\d+(\.\d+)*", lambda found: re.sub(r"\d+", "*", found[0]), name, count=1)


def _spans(widths: Sequence[int], size: int) -> str:
    """Which channels each parent has; those that do not fit beside each other have the first ones,
    and a parent without any of them has a dash.
    """
    if sum(widths) > size or 0 in widths:
        return ", ".join(f"0:{width}" if width else "-" for width in widths)
    stops = [sum(widths[: i + 1]) for i in range(len(widths))]
    return ", ".join(f"{stop - width}:{stop}" for width, stop in zip(widths, stops, strict=True))


def _shapes(tensors: Sequence[TensorReport]) -> str:
    """The one shape of a group, or its smallest and largest."""
    shapes = sorted({t.shape for t in tensors}, key=lambda shape: (len(shape), shape))
    words = ["x".join(map(str, shape)) or "scalar" for shape in (shapes[0], shapes[-1])]
    return words[0] if len(shapes) == 1 else f"{words[0]} .. {words[1]}"


def _aligned(rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    """Rows as lines with aligned columns and a rule under the first."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(widths[i]) if i in right else cell.ljust(widths[i])
            for i, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]
