"""What a run's training data were, so that a resumed run can tell whether they still are."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmrbdc.datasets.configs import find_datasets, is_remote, joined
from mmrbdc.datasets.folders.check import open_folders
from mmrbdc.datasets.folders.dataset import ours_for
from mmrbdc.weights.read import file_sha256

KEY = "train_files"
"""Where records hold what :func:`training_files` finds."""


def training_files(cfg: Mapping[str, Any]) -> dict[str, str]:
    """Annotations, image lists and folders of classes of the training loader; no image is read.

    Args:
        cfg: whose data have been checked.

    Returns:
        SHA-256 by path: of a file's bytes, of the sorted names of a folder's images. Without what
        is on remote storage.

    Raises:
        DataError: a folder cannot be listed.
    """
    loader = cfg.get("train_dataloader") or {}
    found: dict[str, str] = {}
    for key, dataset in find_datasets("train_dataloader.dataset", loader.get("dataset") or {}):
        if ours_for(dataset.get("type")) is not None:
            opened = (
                None if is_remote(str(dataset.get("data_root", ""))) else open_folders(key, dataset)
            )
            if opened is None:
                continue
            path = opened.ann_file
            if not path:
                found[opened.img_prefix] = _of_names(opened.list_folder().files)
                continue
        else:
            path = joined(dataset.get("data_root"), str(dataset.get("ann_file") or ""))
        if path and not is_remote(path) and Path(path).is_file():
            found[path] = file_sha256(path)
    return found


def changed_files(begun: Mapping[str, Any], now: Mapping[str, str], folder: Path) -> str | None:
    """Say which training data are no longer what they were.

    Args:
        begun: the record of the run's start, which may be one of a version that kept none.
        now: see :func:`training_files`.
        folder: the run's work dir.
    """
    old = begun.get(KEY) or {}
    changed = [path for path, sha256 in now.items() if old.get(path, sha256) != sha256]
    if not changed:
        return None
    path = changed[0]
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    what = "images have other names" if Path(path).is_dir() else "content is another"
    return (
        f"{folder} holds a run that was trained on '{path}' as it was then, and its {what} now"
        f"{more} (SHA-256 {old[path][:12]} -> {now[path][:12]}). --resume goes on with a run as it "
        "is: bring the training data back, or begin another run with another --work-dir"
    )


def _of_names(files: Mapping[str, list[str]]) -> str:
    digest = hashlib.sha256()
    for name, images in files.items():
        for image in images:
            digest.update(f"{name}/{image}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()
