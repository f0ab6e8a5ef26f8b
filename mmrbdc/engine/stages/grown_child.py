"""A child that waits in its file, and the record of how it was grown."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from mmrbdc.engine.junctions.grow_child import GrownFile, Growth
from mmrbdc.engine.stages.stage_setup import StageSetup
from mmrbdc.runs.cost import Cost
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


def child_folder(setup: StageSetup, index: int) -> Path:
    """Where a stage's member waits before its first step: ``child.pth`` and its records."""
    return setup.folder / "grown" / str(index)


def is_grown(setup: StageSetup, index: int) -> bool:
    """Whether the child was grown for this very configuration and is all there."""
    folder = child_folder(setup, index)
    cost = Cost.read(folder)
    files = (folder / "child.pth", folder / "growth.json")
    return cost is not None and cost.fingerprint == setup.hash and all(p.is_file() for p in files)


def save_child(grown: GrownFile, setup: StageSetup, index: int, how: Growth) -> None:
    """Write the child's file, then the record of how it was grown."""
    folder = child_folder(setup, index)
    grown.save(folder / "child.pth")
    parents = [
        dict(
            path=os.path.relpath(parent.checkpoint.path, setup.folder.parent),
            sha256=parent.checkpoint.sha256,
            train_flops=parent.checkpoint.meta["train_flops"],
            changes=list(parent.changes),
            data=parent.record.to_meta(),
        )
        for parent in grown.parents
    ]
    write_json(folder / "growth.json", dict(growth=asdict(how), parents=parents))


def read_child(setup: StageSetup, index: int) -> GrownChild:
    """Read what is known of a child that is grown."""
    folder = child_folder(setup, index)
    cost = Cost.read(folder)
    assert cost is not None
    parents = json.loads((folder / "growth.json").read_text())["parents"]
    return GrownChild(
        folder / "child.pth",
        cost.flops,
        tuple(
            GrownParent(
                **{key: parent[key] for key in ("path", "sha256", "train_flops")},
                data=DataRecord.from_meta(parent["data"], parent["path"]),
            )
            for parent in parents
        ),
    )
