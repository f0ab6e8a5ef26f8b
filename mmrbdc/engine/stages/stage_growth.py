"""The children that a stage trains: grown once, into files, before the stage runs."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.logging import MMLogger

from mmrbdc.engine.junctions.grow_child import Growth, grow_child, identify
from mmrbdc.engine.junctions.growth_context import TrainingContext
from mmrbdc.engine.stages.stage_setup import StageSetup
from mmrbdc.growth import get_operator
from mmrbdc.weights import DataRecord, write_json


@dataclass(frozen=True)
class GrownParent:
    """What a child's record says of one of its parents.

    Attributes:
        path: of its file, from the work dir on.
        sha256: of its file.
        train_flops: FLOPs of its own training and of all before it.
        data: what it was trained on.
    """

    path: str
    sha256: str
    train_flops: float
    data: DataRecord


@dataclass(frozen=True)
class GrownChild:
    """A child that waits in its file.

    Attributes:
        file: with its weights.
        flops: what growing it cost by itself; 0 for an operator that needs no data.
        parents: in the order in which they were placed.
    """

    file: Path
    flops: float
    parents: tuple[GrownParent, ...]


def grown_children(
    setup: StageSetup,
    parents: Sequence[Sequence[Path]],
    how: Sequence[Growth],
    logger: MMLogger,
) -> list[GrownChild]:
    """Grow a stage's members into its folder ``grown``, unless they are there; every rank calls.

    The main process grows, the others wait for it. What was grown for another configuration, by a
    version that left no record, or lost its file is grown again.

    Args:
        setup: the coming stage.
        parents: files of each child's parents.
        how: each child is grown.
        logger: of the protocol.

    Raises:
        FamilyError, GrowthError, WeightsError: parents that cannot be read or do not fit.
    """
    record = setup.folder / "grown.json"
    if not _complete(setup, record):
        if is_main_process():
            children = [
                _grow(setup, index, group, growth, logger)
                for index, (group, growth) in enumerate(zip(parents, how, strict=True))
            ]
            write_json(record, dict(config_hash=setup.hash, children=children))
        barrier()
    found = json.loads(record.read_text())["children"]
    return [
        GrownChild(
            child_file(setup, index),
            child["flops"],
            tuple(
                GrownParent(
                    **{k: p[k] for k in ("path", "sha256", "train_flops")},
                    data=DataRecord.from_meta(p["data"], p["path"]),
                )
                for p in child["parents"]
            ),
        )
        for index, child in enumerate(found)
    ]


def child_file(setup: StageSetup, index: int) -> Path:
    """Where a stage's member waits before its first step."""
    return setup.folder / "grown" / f"{index}.pth"


def _complete(setup: StageSetup, record: Path) -> bool:
    if not record.is_file():
        return False
    content = json.loads(record.read_text())
    return content["config_hash"] == setup.hash and all(
        "parents" in child and child_file(setup, index).is_file()
        for index, child in enumerate(content["children"])
    )


def _grow(
    setup: StageSetup, index: int, paths: Sequence[Path], how: Growth, logger: MMLogger
) -> dict[str, Any]:
    context = None
    if get_operator(how.operator).work is not None:
        context = TrainingContext(setup.config, how.seed)
    parents = [identify(path) for path in paths]
    grown = grow_child(setup.architecture, parents, how, context)
    grown.save(child_file(setup, index))
    flops = 0 if context is None else context.flops
    cost = f" with {flops / 1e9:.3g} GFLOPs" if flops else ""
    logger.info(f"{setup.row.name}, member {index}, grown{cost}")
    for parent in grown.parents:
        if parent.changes:
            logger.info(f"{parent.name}, before it is grown: {', '.join(parent.changes)}")
    for line in grown.result.report.summary_lines():
        logger.info(line)
    return dict(
        flops=flops,
        growth=asdict(how),
        parents=[
            dict(
                path=os.path.relpath(parent.checkpoint.path, setup.folder.parent),
                sha256=parent.checkpoint.sha256,
                train_flops=parent.checkpoint.meta["train_flops"],
                changes=list(parent.changes),
                data=parent.record.to_meta(),
            )
            for parent in grown.parents
        ],
    )
