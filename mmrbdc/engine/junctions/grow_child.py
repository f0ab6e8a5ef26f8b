"""Parents' files become a child's: the one way, for protocols and for ``tools/grow.py``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from mmengine.config import Config
from torch import Tensor

from mmrbdc.engine.inputs.data_record import record_of_parent
from mmrbdc.families import (
    Architecture,
    FamilyError,
    architecture_from_config,
    architecture_from_dict,
)
from mmrbdc.families.fit_parents import fit_parent
from mmrbdc.growth import DEFAULT_OPERATOR, Context, GrowthError, GrowthResult, get_operator, grow
from mmrbdc.versions import versions
from mmrbdc.weights import Checkpoint, DataRecord, read_model, save_member
from mmrbdc.weights.libraries import recognise, stored_record


@dataclass(frozen=True)
class Growth:
    """How children are made of their parents.

    Attributes:
        operator: name of the growth operator.
        seed: of operators that draw.
        depth_operator: how to deepen parents that have fewer blocks than the child, ``'stack'``,
            ``'adjacent'`` or ``'adjacent-last'``; ``None`` refuses them.
        resize_positions: resize the position tables of parents of another image size, instead of
            refusing them.
        allow_equal: accept parents with the same weights.
        options: of an operator that has some.
    """

    operator: str = DEFAULT_OPERATOR
    seed: int = 0
    depth_operator: str | None = None
    resize_positions: bool = False
    allow_equal: bool = False
    options: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Parent:
    """A parent's file and what is known of it.

    Attributes:
        checkpoint: its weights.
        architecture: its architecture; ``None`` when neither a config nor the file says it.
        source: where the architecture is from, in words.
        record: what it was trained on, as far as its file or its config says.
        changes: what was done to it before it was grown, in words.
    """

    checkpoint: Checkpoint
    architecture: Architecture | None
    source: str
    record: DataRecord
    changes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.checkpoint.path)


@dataclass(frozen=True)
class GrownFile:
    """A child that was grown from files.

    Attributes:
        architecture: the child's.
        parents: in the order in which they are placed.
        operator: name of the growth operator.
        result: the child's weights and the report.
        record: what its parents were trained on, where they agree.
        remarks: what a reader should know of that, one sentence each.
    """

    architecture: Architecture
    parents: tuple[Parent, ...]
    operator: str
    result: GrowthResult
    record: DataRecord = field(default_factory=DataRecord)
    remarks: tuple[str, ...] = ()

    @property
    def head_sizes(self) -> list[int]:
        """Sizes of the attention heads, all the same in DeiT; empty for a family without heads."""
        spaces = self.architecture.layout().spaces.values()
        return sorted({space.unit for space in spaces if space.kind == "heads"})

    def lines(self) -> list[str]:
        """Child, parents, what was placed where, the share of zeros: for a person to read."""
        names = max(len(parent.name) for parent in self.parents)
        lines = [f"child    {self.architecture.label}"]
        for i, parent in enumerate(self.parents):
            known = parent.architecture.label if parent.architecture else "unknown"
            lines.append(
                f"{'' if i else 'parents':<7}  {parent.name:<{names}}  {known} ({parent.source}), "
                f"{parent.checkpoint.weights} weights"
            )
        for changes in dict.fromkeys(parent.changes for parent in self.parents if parent.changes):
            who = [parent.name for parent in self.parents if parent.changes == changes]
            lines.append(f"first    {', '.join(changes)}: {', '.join(who)}")
        if self.head_sizes:
            silent = [parent.name for parent in self.parents if parent.architecture is None]
            source = "stated for every parent"
            if silent:
                source = f"taken from the child: not stated for {', '.join(silent)}"
            lines.append(f"heads    of size {' and '.join(map(str, self.head_sizes))}, {source}")
        lines += [f"data     {line}" for line in (*self.record.lines(), *self.remarks)]
        return [*lines, "", *self.result.report.summary_lines()]

    def report(self) -> dict[str, Any]:
        """Everything about the growth step in plain JSON types."""
        return {
            "child": self.architecture.to_dict(),
            "parents": [
                {
                    "path": parent.name,
                    "sha256": parent.checkpoint.sha256,
                    "weights": parent.checkpoint.weights,
                    "architecture": parent.architecture and parent.architecture.to_dict(),
                    "architecture_source": parent.source,
                    "changes": list(parent.changes),
                    "data": parent.record.to_meta(),
                }
                for parent in self.parents
            ],
            "head_sizes": self.head_sizes,
            "data": {**self.record.to_meta(), "remarks": list(self.remarks)},
            **self.result.report.to_dict(),
        }

    def save(self, path: str | Path) -> None:
        """Write the child as a member file: plain tensors, family and architecture in its meta."""
        meta = {
            **self.record.to_meta(),
            "family": self.architecture.family,
            "architecture": self.architecture.to_dict(),
            "weights": self.parents[0].checkpoint.weights,
            "name": Path(path).stem,
            "operator": self.operator,
            "parents": [parent.checkpoint.sha256 for parent in self.parents],
            "versions": versions(),
        }
        save_member(path, self.result.state_dict, meta)


def grow_child(
    child: Architecture,
    parents: Sequence[Parent],
    how: Growth,
    context: Context | None = None,
) -> GrownFile:
    """Fit parents to a child, check them, and grow it.

    Args:
        child: its architecture.
        parents: in the order in which they are placed.
        how: operator and what else decides.
        context: for operators that grow with data.

    Raises:
        FamilyError, GrowthError, WeightsError: parents that do not fit the child or each other.
    """
    _check_one_kind(parents)
    relation = get_operator(how.operator).parents
    one, behind = relation == "one", relation == "behind"
    deeper = relation == "deeper"
    depth, positions = behind or how.depth_operator is not None, how.resize_positions
    fitted, states = [], []
    for parent in parents:
        if parent.architecture is not None:
            child.check_parent(
                parent.architecture,
                parent.name,
                inner=one,
                depth=depth,
                positions=positions,
                deeper=deeper,
            )
        fit = fit_parent(
            parent.checkpoint.state_dict,
            parent.architecture,
            child,
            depth_operator=None if behind or deeper else how.depth_operator,
            positions=positions,
            who=parent.name,
        )
        if parent.architecture is not None:
            _check_widths(parent, fit.state_dict, child, how.operator)
        fitted.append(replace(parent, changes=fit.changes))
        states.append(fit.state_dict)
    known = [parent.architecture for parent in parents if parent.architecture is not None]
    if relation == "sum" and len(known) == len(parents):
        child.check_sum(known)
    result = grow(
        states,
        child.layout(),
        operator=how.operator,
        generator=torch.Generator().manual_seed(how.seed),
        context=context,
        allow_equal=how.allow_equal,
        names=[parent.name for parent in parents],
        options=how.options,
    )
    return GrownFile(child, tuple(fitted), how.operator, result)


def identify(
    path: str | Path,
    weights: Literal["raw", "ema"] | None = None,
    source: str = "",
    config: Config | None = None,
) -> Parent:
    """Read a parent, of whatever library, in MMPretrain's names, and find out its architecture and
    what it was trained on: from its config, else from its file.
    """
    checkpoint = read_model(path, weights=weights)
    record = DataRecord.from_meta(checkpoint.meta, path)
    if not any(name.startswith("backbone.") for name in checkpoint.state_dict):
        recognised = recognise(checkpoint)
        checkpoint = replace(checkpoint, state_dict=recognised.state_dict)
        record, _ = stored_record(recognised)
    record = record_of_parent(str(path), record, source, config)
    written = checkpoint.meta.get("architecture")
    own = architecture_from_dict(written) if isinstance(written, dict) else None
    if config is None:
        where = "its file says so" if own else "not stated, its tensors fit"
        return Parent(checkpoint, own, where, record=record)
    declared = architecture_from_config(config.model)
    if own is not None and own != declared:
        raise FamilyError(
            f"{checkpoint.path} says that it is {own.label}, its config {source} is "
            f"{declared.label}: {'; '.join(own.differences(declared))}; leave --parent-config out "
            "or give the right one"
        )
    return Parent(checkpoint, declared, f"from {source}", record=record)


def _check_one_kind(parents: Sequence[Parent]) -> None:
    kinds = {parent.checkpoint.weights: parent.name for parent in parents}
    if len(kinds) > 1:
        raise GrowthError(
            f"{kinds['raw']} holds raw weights and {kinds['ema']} averaged ones; take the same "
            "kind from all parents (--weights raw or --weights ema)"
        )


def _check_widths(
    parent: Parent, state: Mapping[str, Tensor], child: Architecture, operator: str
) -> None:
    """Check that a parent's tensors are as wide as its architecture says."""
    assert parent.architecture is not None
    sizes = get_operator(operator).space_sizes(child.layout(), state, parent.name)
    for name, space in parent.architecture.layout().spaces.items():
        if name in sizes and sizes[name] != space.size:  # or it is of a block that is not taken
            raise GrowthError(
                f"{parent.name}: its tensors make space '{name}' {sizes[name]} wide, but "
                f"{parent.architecture.label} ({parent.source}) makes it {space.size}; is that "
                "the right config for this file?"
            )
