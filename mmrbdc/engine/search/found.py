"""``search.json``: what a search tried, what that cost, and what it chose."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmrbdc.runs.records import read_record
from mmrbdc.search import Choice, SubNet
from mmrbdc.shipped import command
from mmrbdc.weights import write_json

SEARCH_FILE = "search.json"
MADE_BY = (
    f"{command('train')}, which searches again with --resume once the stage's folder is removed"
)


def write_search(
    folder: Path,
    fingerprint: str,
    choice: Choice,
    losses: Sequence[Sequence[float]],
    more: dict[str, Any],
) -> None:
    """Write the folder's ``search.json``, whole or not at all.

    Args:
        folder: the searching stage's.
        fingerprint: of its configuration.
        choice: candidates, mean losses, costs, fit and choice.
        losses: of each candidate, one per evaluation.
        more: of how they were judged.
    """
    content = dict(fingerprint=fingerprint, **more, **choice.to_dict())
    content["evaluations"] = [list(one) for one in losses]
    write_json(folder / SEARCH_FILE, content)


def is_searched(folder: Path) -> bool:
    """Whether the folder has a ``search.json``."""
    return (folder / SEARCH_FILE).is_file()


def read_found(folder: Path, fingerprint: str, candidates: Sequence[SubNet]) -> SubNet:
    """Read what a search has chosen.

    Args:
        folder: the searching stage's.
        fingerprint: of its configuration.
        candidates: that it had.

    Raises:
        AnalysisError: the file is damaged, or of another run.
    """
    record = read_record(folder / SEARCH_FILE, MADE_BY)
    if record.text("fingerprint") != fingerprint:
        raise record.error("it is of another run; choose another --work-dir")
    found = record.record("chosen")
    chosen = SubNet(found.integer("depth", 1), found.integer("img_size", 1))
    if chosen not in candidates:
        listed = "; ".join(map(str, candidates))
        raise record.error(f"'chosen' is {chosen}, which is none of its candidates: {listed}")
    return chosen
