"""Where a stage keeps its members, and whether one is finished."""

from pathlib import Path

from mmrbdc.weights import WeightsError, read_meta

FORMAT = 2
"""Of a work dir's files, in its ``plan.json``; 2 has a ``cost.json`` for every step."""


def member_file(stage_dir: Path, index: int) -> Path:
    """Where a stage's member ``index`` is kept."""
    return stage_dir / "members" / f"{index}.pth"


def is_finished(stage_dir: Path, index: int, config_hash: str) -> bool:
    """Whether the member was trained to its end under this very configuration.

    Raises:
        WeightsError: its file is there and cannot be read, or comes from another configuration.
    """
    path = member_file(stage_dir, index)
    if not path.exists():
        return False
    found = read_meta(path).get("config_hash")
    if found != config_hash:
        raise WeightsError(
            f"{path} was trained under another configuration (hash {found}, now {config_hash}); "
            "choose another --work-dir, or remove the file to train this member again"
        )
    return True
