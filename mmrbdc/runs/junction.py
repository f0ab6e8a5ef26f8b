"""A junction's ``junction.json``: what children score before their first step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrbdc.runs.records import read_record
from mmrbdc.weights import write_json


@dataclass(frozen=True)
class ChildScores:
    """One child at its junction: accuracies in percent, before its first step.

    Attributes:
        parents: of each parent.
        ensemble: of the mean of the parents' logits.
        child: of the grown model.
        at_parents_size: of the grown model on images of its parents' size; ``None`` where that is
            its own, or it cannot see them.
    """

    parents: tuple[float, ...]
    ensemble: float
    child: float
    at_parents_size: float | None = None


@dataclass(frozen=True)
class Junction:
    """The moment between two stages.

    Attributes:
        flops: training FLOPs spent until then.
        children: one per member of the stage that follows.
    """

    flops: float
    children: tuple[ChildScores, ...]


def write_junction(path: Path, config_hash: str, junction: Junction) -> None:
    """Write the file, whole or not at all.

    Args:
        path: of the file.
        config_hash: of the coming stage's configuration.
        junction: what it holds.
    """
    children = [
        dict(parents=list(one.parents), ensemble=one.ensemble, child=one.child)
        for one in junction.children
    ]
    for written, one in zip(children, junction.children, strict=True):
        if one.at_parents_size is not None:
            written["at_parents_size"] = one.at_parents_size
    write_json(path, dict(config_hash=config_hash, flops=junction.flops, children=children))


def read_junction(path: Path, made_by: str, members: int, parents: Sequence[int] = ()) -> Junction:
    """Read the file.

    Args:
        path: of the file.
        made_by: what writes it, for messages.
        members: how many children there must be.
        parents: numbers of parents in all that the plan allows; none allows any.

    Raises:
        AnalysisError: it is missing or odd, or has other children or parents.
    """
    record = read_record(path, made_by)
    children = record.records("children")
    if len(children) != members:
        raise record.error(f"{len(children)} children, the stage has {members} members")
    scores = tuple(
        ChildScores(
            child.numbers("parents", 0, 100),
            child.number("ensemble", 0, 100),
            child.number("child", 0, 100),
            child.number("at_parents_size", 0, 100) if child.has("at_parents_size") else None,
        )
        for child in children
    )
    num_parents = sum(len(one.parents) for one in scores)
    if parents and num_parents not in parents:
        expected = " or ".join(map(str, parents))
        raise record.error(f"{num_parents} parents, the plan has {expected}")
    return Junction(record.number("flops"), scores)


def is_scored(path: Path, made_by: str, config_hash: str) -> bool:
    """Whether the file is there and of this configuration."""
    return path.is_file() and read_record(path, made_by).value("config_hash") == config_hash
