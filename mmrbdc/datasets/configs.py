"""Where a config says its data are, and the words of errors about a place without data."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmrbdc.datasets.errors import DataError
from mmrbdc.shipped import command

LOADERS = ("train", "val", "test")
_READERS = {
    "LoadImageFromFile": ("mmcv", "mmdet", "mmpretrain"),
    "CocoDataset": ("mmdet",),
    "CustomDataset": ("mmpretrain",),
    "ImageNet": ("mmpretrain",),
    "CocoMetric": ("mmdet",),
}
_STOCK_NAMES = {
    f"{scope}.{name}": name for name, scopes in _READERS.items() for scope in ("mmrbdc", *scopes)
}
DEMO_FOLDERS = {"digits", "digits_small", "digit_scenes"}


def find_datasets(key: str, dataset: Mapping) -> Iterator[tuple[str, Mapping]]:
    """The data sets inside wrappers (``dataset=``) and concatenations (``datasets=[]``)."""
    if isinstance(dataset.get("dataset"), Mapping):
        yield from find_datasets(f"{key}.dataset", dataset["dataset"])
    elif dataset.get("datasets"):
        for number, part in enumerate(dataset["datasets"]):
            yield from find_datasets(f"{key}.datasets.{number}", part)
    else:
        yield key, dataset


def find_evaluators(cfg: Mapping, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The evaluators of a split, in lists and in those that hold ``metrics`` too, each with its key
    in the config.
    """
    key = f"{split}_evaluator"
    yield from _evaluators(key, cfg.get(key))


def _evaluators(key: str, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, list | tuple):
        for number, part in enumerate(node):
            yield from _evaluators(f"{key}.{number}", part)
    elif isinstance(node, dict):
        if node.get("metrics"):
            yield from _evaluators(f"{key}.metrics", node["metrics"])
        else:
            yield key, node


def stock_name(value: Any) -> Any:
    """A config's value, where it is the type of a reader of ours the name of the stock one in whose
    place that is put: both read the same, and differ in what they say of what they cannot read.
    """
    return _STOCK_NAMES.get(value, value) if isinstance(value, str) else value


def stated_classes(dataset: Mapping) -> tuple[str, ...] | None:
    """The classes that a data set's config names; None where it names none.

    Raises:
        DataError: text that is no file of names, as ``("cell")`` is without a comma; or what is no
            text among the names.
    """
    classes = (dataset.get("metainfo") or {}).get("classes")
    if classes is None:
        classes = dataset.get("classes")
        if isinstance(classes, str):
            classes = os.path.expanduser(classes)  # as MMPretrain does
    if classes is None:
        return None
    if isinstance(classes, str):
        if not Path(classes).is_file():
            raise DataError(
                f"classes is the text {classes!r}, and there is no file of that name that lists "
                f"classes; one class is written with a comma: classes = ({classes!r},)"
            )
        from mmengine.fileio import list_from_file  # as MMEngine's data sets read it

        return tuple(list_from_file(classes))
    if not isinstance(classes, list | tuple) or not all(isinstance(c, str) for c in classes):
        raise DataError(f"classes must be a tuple of names, got {classes!r}")
    return tuple(classes)


def joined(root: str | None, path: str) -> str:
    """A path below ``data_root`` as MMEngine's data sets join it: an absolute one stays."""
    if not path or not root or path.startswith("/") or is_remote(path):
        return path
    return f"{root.rstrip('/')}/{path}" if is_remote(root) else str(Path(root, path))


def is_remote(path: str) -> bool:
    """Whether a path is on remote storage, where nothing is looked at."""
    return "://" in path


def check_storage(key: str, place: str) -> None:
    """Ask MMEngine whether it knows the storage of a remote place, of which nothing is read.

    Raises:
        DataError: it does not, or lacks the package of that storage.
    """
    from mmengine.fileio import get_file_backend

    try:
        get_file_backend(place)
    except Exception as error:  # what a backend raises depends on it
        scheme = place.partition("://")[0]
        reason = " ".join(str(error.args[0] if error.args else error).split())
        told = f"is not a storage that MMEngine knows: {scheme}://"
        if not isinstance(error, KeyError):
            told = f"is on storage that cannot be opened here ({type(error).__name__}: {reason})"
        raise DataError(
            f"{key}: '{place}' {told}; name a place on this machine's disks as a plain path"
        ) from error


def missing(key: str, what: str, path: Path, option: str) -> str:
    """Say that a file or folder is not there."""
    where = f"or name another place: --cfg-options {option}=PATH"
    home = " ('~' is not read as the home folder)" if str(path).startswith("~") else ""
    return f"{key}: there is no {what} '{path}'{home}; {_how_to_get(path)}, {where}"


def empty(key: str, what: str, path: Path) -> str:
    """Say that a file or folder has nothing in it."""
    return f"{key}: {what}; {_how_to_get(path)}"


def _how_to_get(path: Path) -> str:
    if DEMO_FOLDERS & set(path.parts):
        return f"make the demo data with `{command('make_demo_data.py')}`"
    return "put or link the data there"
