"""What a junction computes once: found by one run, read by every later one and every process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process

from mmrbdc.weights import write_json


def found_once(
    path: Path, config_hash: str, find: Callable[[], list[dict[str, Any]]], *, alone: bool
) -> list[dict[str, Any]]:
    """Return what ``find`` gave for this config, from its file if it is there; every rank calls.

    Args:
        path: of the JSON file.
        config_hash: of what the result depends on.
        find: gives one dict of plain JSON types a child.
        alone: whether the main process works alone, or all of them together.
    """
    if not _known(path, config_hash):
        children = find() if is_main_process() or not alone else []
        barrier()
        if is_main_process():
            write_json(path, dict(config_hash=config_hash, children=children))
        barrier()
    return json.loads(path.read_text())["children"]


def _known(path: Path, config_hash: str) -> bool:
    return path.is_file() and json.loads(path.read_text())["config_hash"] == config_hash
