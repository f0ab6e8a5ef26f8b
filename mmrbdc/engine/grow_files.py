"""Grow checkpoint files into a checkpoint file: what ``tools/grow.py`` does."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from mmrbdc.datasets.preprocessing import config_record
from mmrbdc.engine.data_record import record_of_child, record_of_parent
from mmrbdc.engine.fit_parents import fit_parent
from mmrbdc.engine.members import versions
from mmrbdc.families import (
    Architecture,
    FamilyError,
    architecture_from_config,
    architecture_from_dict,
)
from mmrbdc.growth import Context, GrowthError, GrowthResult, get_operator, grow
from mmrbdc.weights import Checkpoint, DataRecord, read_model, save_member, write_json
from mmrbdc.weights.libraries import recognise, stored_record


@dataclass(frozen=True)
class Parent:
    """A parent's file and what is known of it.

    Attributes:
        checkpoint: Its weights.
        architecture: Its architecture; ``None`` when neither a config nor the file says it.
        source: Where the architecture is from, in words.
        record: What it was trained on, as far as its file or its config says.
        changes: What was done to it before it was grown, in words.
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
        architecture: The child's.
        parents: In the order in which they are placed.
        operator: Name of the growth operator.
        result: The child's weights and the report.
        record: What its parents were trained on, where they agree.
        remarks: What a reader should know of that, one sentence each.
    """

    architecture: Architecture
    parents: tuple[Parent, ...]
    operator: str
    result: GrowthResult
    record: DataRecord
    remarks: tuple[str, ...]

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


def load_model_config(source: str) -> Any:
    """Load the model of a config; see :func:`load_whole_config`."""
    return load_whole_config(source).model


def load_whole_config(source: str) -> Config:
    """Load a config that has a model.

    Args:
        source: Path of a config file, an ordinary or a staged one, or ``mmpretrain::`` and the
            path of a config that MMPretrain ships.

    Raises:
        ValueError: No such shipped config, a file that is no config, or one without a model.
        OSError: No such file.
    """
    if "::" in source:
        source = _shipped_config(source)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
            config = Config.fromfile(source)
    except SyntaxError as error:
        raise ValueError(f"{source} is not a config file: {error}") from error
    if "model" not in config:
        raise ValueError(f"the config {source} has no 'model'")
    return config


def grow_files(
    config: str,
    parents: Sequence[str],
    *,
    parent_configs: Sequence[str] = (),
    operator: str = "block-diagonal",
    weights: Literal["raw", "ema"] | None = None,
    allow_equal: bool = False,
    seed: int = 0,
    depth_operator: str | None = None,
    resize_positions: bool = False,
    different_data: bool = False,
) -> GrownFile:
    """Grow checkpoint files into a child.

    Args:
        config: The child's config, see ``load_model_config``.
        parents: Checkpoint files, in the order in which they are placed; of any library that
            ``mmrbdc.weights.libraries`` knows.
        parent_configs: Configs of the parents: none, one for all, or one each.
        operator: Name of the growth operator.
        weights: Which weights to take from files that hold both.
        allow_equal: Accept parents with the same weights.
        seed: Of operators that draw.
        depth_operator: How to deepen parents of fewer blocks; ``None`` refuses them.
        resize_positions: Resize the position tables of parents of another image size.
        different_data: Accept parents whose files record another preprocessing or other classes;
            the child's records neither then.

    Raises:
        ValueError: A config, a file or a set of parents that does not fit; nothing is written.
        OSError: A config file that is not there.
    """
    if len(parent_configs) not in (0, 1, len(parents)):
        raise ValueError(
            f"{len(parent_configs)} parent configs for {len(parents)} parents: give one for all "
            "or one for each"
        )
    whole = load_whole_config(config)
    child = architecture_from_config(whole.model)
    stated = [(source, load_whole_config(source)) for source in parent_configs]
    stated *= len(parents) if len(stated) == 1 else 1
    found = [
        _identify(path, weights, *(stated[i] if stated else ("", None)))
        for i, path in enumerate(parents)
    ]
    _check_one_kind(found)
    record, remarks = record_of_child(
        {parent.name: parent.record for parent in found}, config_record(whole), different_data
    )
    states = []
    for i, parent in enumerate(found):
        if parent.architecture is not None:
            child.check_parent(
                parent.architecture,
                parent.name,
                inner=get_operator(operator).parents == "one",
                depth=depth_operator is not None,
                positions=resize_positions,
            )
        fitted = fit_parent(
            parent.checkpoint.state_dict,
            parent.architecture,
            child,
            depth_operator=depth_operator,
            positions=resize_positions,
            who=parent.name,
        )
        if parent.architecture is not None:
            _check_widths(parent, fitted.state_dict, child, operator)
        found[i] = replace(parent, changes=fitted.changes)
        states.append(fitted.state_dict)
    result = grow(
        states,
        child.layout(),
        operator=operator,
        generator=torch.Generator().manual_seed(seed),
        context=_context(whole, operator, config, seed),
        allow_equal=allow_equal,
        names=[parent.name for parent in found],
    )
    return GrownFile(child, tuple(found), operator, result, record, remarks)


def _context(config: Config, operator: str, source: str, seed: int) -> Context | None:
    if get_operator(operator).work is None:
        return None
    if not config.get("train_dataloader"):
        raise ValueError(
            f"the operator '{operator}' grows with the recipe's images and initialisation, but "
            f"{source} has no train_dataloader; give a whole config"
        )
    # MMPretrain takes seconds to import: only where it is needed.
    from mmrbdc.engine.growth_context import TrainingContext

    init_default_scope(config.get("default_scope") or "mmpretrain")
    return TrainingContext(config, seed)


def write_grown(grown: GrownFile, out: str | Path, report: str | Path | None = None) -> None:
    """Write a child's file and, if wanted, its report; each is whole or not there."""
    grown.save(out)
    if report is not None:
        write_json(report, grown.report())


def check_targets(
    targets: Sequence[str | Path], parents: Sequence[str | Path], force: bool = False
) -> None:
    """Check, before any work is done, that files can be written.

    Args:
        targets: Files to write.
        parents: Files that must not be overwritten whatever ``force`` says.
        force: Accept files that exist.

    Raises:
        ValueError: A target is a parent, another target, a folder, or exists.
    """
    taken = {Path(path).resolve(): f"the parent {path}" for path in parents}
    for target in map(Path, targets):
        if target.resolve() in taken:
            raise ValueError(f"{target} is {taken[target.resolve()]}; write to another file")
        if target.is_dir():
            raise ValueError(f"{target} is a folder; name a file in it")
        if target.exists() and not force:
            raise ValueError(f"{target} exists already; choose another name, or --force")
        taken[target.resolve()] = "named twice"


def _shipped_config(source: str) -> str:
    """The file of ``package::path``, found without the package's model index, which takes MMEngine
    a second to read.
    """
    package, _, path = source.partition("::")
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / ".mim" / "configs" / path
        if file.is_file():
            return str(file)
    raise ValueError(
        f"there is no config '{source}'; expected a package and a path, like "
        "mmpretrain::deit/deit-base_16xb64_in1k.py"
    )


def _identify(
    path: str, weights: Literal["raw", "ema"] | None, source: str, config: Config | None
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
    record = record_of_parent(path, record, source, config)
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
        if sizes[name] != space.size:
            raise GrowthError(
                f"{parent.name}: its tensors make space '{name}' {sizes[name]} wide, but "
                f"{parent.architecture.label} ({parent.source}) makes it {space.size}; is that "
                "the right config for this file?"
            )
