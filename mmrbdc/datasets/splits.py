"""Which split a test really reads: test files are often the validation's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmrbdc.config_parts import type_name
from mmrbdc.datasets.configs import find_datasets
from mmrbdc.weights.read import file_sha256

_FOLDERS = ("CustomDataset", "ImageNet")
_NO_MATTER = ("pipeline", "test_mode", "lazy_init", "serialize_data", "metainfo", "filter_cfg")


def split_of_test(
    test: Mapping[str, Any] | None,
    val: Mapping[str, Any] | None,
    train: Mapping[str, Any] | None = None,
) -> str:
    """Return ``'validation'`` or ``'training'`` where the test reads nothing else, else ``'test'``.

    Data sets are the same where their annotation files are, by place or by content, or, without
    such a file, where their folders and the other arguments that choose samples are.

    Args:
        test: config of the loader that is tested with.
        val: of the one that training validates with; None where there is none.
        train: of the one that trains.
    """
    tested = _sources(test)
    for name, loader in (("validation", val), ("training", train)):
        known = _sources(loader)
        if tested and all(any(_same(one, other) for other in known) for one in tested):
            return name
    return "test"


def _sources(loader: Mapping[str, Any] | None) -> list[tuple[Path | None, str]]:
    """The annotation file of each data set, or what else chooses its samples."""
    if not loader or not isinstance(loader.get("dataset"), Mapping):
        return []
    return [_source(dataset) for _, dataset in find_datasets("", loader["dataset"])]


def _source(dataset: Mapping[str, Any]) -> tuple[Path | None, str]:
    name = type_name(dataset)
    root = Path(dataset.get("data_root") or "").expanduser()
    if dataset.get("ann_file"):
        return (root / dataset["ann_file"]).resolve(), ""
    if name in _FOLDERS:
        prefix = dataset.get("data_prefix") or dataset.get("split") or ""
        folder = prefix.get("img_path", "") if isinstance(prefix, Mapping) else prefix
        return None, str((root / folder).resolve())
    chosen = {key: value for key, value in dataset.items() if key not in _NO_MATTER}
    return None, json.dumps({**chosen, "type": name}, sort_keys=True, default=str)


def _same(one: tuple[Path | None, str], other: tuple[Path | None, str]) -> bool:
    if one == other:
        return True
    (file, _), (other_file, _) = one, other
    if file is None or other_file is None or not file.is_file() or not other_file.is_file():
        return False
    if file.stat().st_size != other_file.stat().st_size:
        return False
    return file_sha256(file) == file_sha256(other_file)
