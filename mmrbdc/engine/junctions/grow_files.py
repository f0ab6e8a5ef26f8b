"""Grow checkpoint files into a checkpoint file: what ``tools/grow.py`` does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmrbdc.datasets.preprocessing import config_record
from mmrbdc.engine.configs.loading import load_whole_config
from mmrbdc.engine.inputs.data_record import record_of_child
from mmrbdc.engine.junctions.grow_child import GrownFile, Growth, grow_child, identify
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import DEFAULT_OPERATOR, Context, get_operator
from mmrbdc.weights import write_json


def grow_files(
    config: str,
    parents: Sequence[str],
    *,
    parent_configs: Sequence[str] = (),
    operator: str = DEFAULT_OPERATOR,
    weights: Literal["raw", "ema"] | None = None,
    allow_equal: bool = False,
    seed: int = 0,
    depth_operator: str | None = None,
    resize_positions: bool = False,
    different_data: bool = False,
) -> GrownFile:
    """Grow checkpoint files into a child.

    Args:
        config: the child's config, see ``load_model_config``.
        parents: checkpoint files, in the order in which they are placed; of any library that
            ``mmrbdc.weights.libraries`` knows.
        parent_configs: configs of the parents: none, one for all, or one each.
        operator: name of the growth operator.
        weights: which weights to take from files that hold both.
        allow_equal: accept parents with the same weights.
        seed: of operators that draw.
        depth_operator: how to deepen parents of fewer blocks; ``None`` refuses them.
        resize_positions: resize the position tables of parents of another image size.
        different_data: accept parents whose files record another preprocessing or other classes;
            the child's records neither then.

    Raises:
        ValueError: a config, a file or a set of parents that does not fit; nothing is written.
        OSError: a config file that is not there.
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
        identify(path, weights, *(stated[i] if stated else ("", None)))
        for i, path in enumerate(parents)
    ]
    record, remarks = record_of_child(
        {parent.name: parent.record for parent in found}, config_record(whole), different_data
    )
    how = Growth(operator, seed, depth_operator, resize_positions, allow_equal)
    grown = grow_child(child, found, how, _context(whole, operator, config, seed))
    return replace(grown, record=record, remarks=remarks)


def _context(config: Config, operator: str, source: str, seed: int) -> Context | None:
    if get_operator(operator).work is None:
        return None
    if not config.get("train_dataloader"):
        raise ValueError(
            f"the operator '{operator}' grows with the recipe's images and initialisation, but "
            f"{source} has no train_dataloader; give a whole config"
        )
    # MMPretrain takes seconds to import: only where it is needed.
    from mmrbdc.engine.junctions.growth_context import TrainingContext

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
        targets: files to write.
        parents: files that must not be overwritten whatever ``force`` says.
        force: accept files that exist.

    Raises:
        ValueError: a target is a parent, another target, a folder, or exists.
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
