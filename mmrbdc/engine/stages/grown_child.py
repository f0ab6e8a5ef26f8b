"""A child that waits in its file, and the record of how it was grown."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mmrbdc.engine.junctions.grow_child import GrownFile, Growth
from mmrbdc.engine.stages.stage_setup import StageSetup
from mmrbdc.runs.cost import WRITTEN_BY, Cost
from mmrbdc.runs.records import read_record
from mmrbdc.weights import DataRecord, WeightsError, read_meta, write_json

AVERAGE_FILE = "average.pth"
"""In a child's folder: the moving average that its parent kept, grown by the same map."""


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


def is_grown(setup: StageSetup, index: int, parents: Sequence[Path], how: Growth) -> bool:
    """Whether a child was grown for this very configuration and is all there.

    Args:
        setup: its stage.
        index: its number.
        parents: files of its parents.
        how: it should have been grown.
    """
    folder = child_folder(setup, index)
    cost, record = Cost.read(folder), folder / "growth.json"
    if cost is None or cost.fingerprint != setup.hash or not record.is_file():
        return False
    found = read_record(record, WRITTEN_BY)
    if found.value("growth") != asdict(how) or _paths(setup, parents) != [
        parent.text("path") for parent in found.records("parents")
    ]:
        return False
    try:
        read_meta(folder / "child.pth")
    except WeightsError:  # it is not there, or damaged
        return False
    return True


def _paths(setup: StageSetup, files: Sequence[Path]) -> list[str]:
    """Files as records name them, from the work dir on."""
    return [os.path.relpath(path, setup.folder.parent) for path in files]


def save_child(
    grown: GrownFile,
    setup: StageSetup,
    index: int,
    how: Growth,
    average: GrownFile | None = None,
) -> None:
    """Write the child's file, that of its moving average, and the record of how it was grown."""
    folder = child_folder(setup, index)
    grown.save(folder / "child.pth")
    if average is not None:
        average.save(folder / AVERAGE_FILE)
    parents = [
        dict(
            path=_paths(setup, [parent.checkpoint.path])[0],
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
    parents = read_record(folder / "growth.json", WRITTEN_BY).fields["parents"]
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
