"""Look at MMPretrain's image folders and lists before a run, through the data set that trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmrbdc.config_errors import told_as_config_error
from mmrbdc.datasets.configs import check_storage, empty, is_remote, missing, stated_classes
from mmrbdc.datasets.errors import DataError, NoDataError
from mmrbdc.datasets.folders.dataset import CustomDataset, ours_for
from mmrbdc.datasets.folders.listing import classes_remark, depth_remark, missing_images
from mmrbdc.wording import counted, quoted, shown

_MOST_CLASSES = 1_000_000
"""A class number beyond is a mistake."""


def open_folders(key: str, config: Mapping) -> CustomDataset | None:
    """The data set of a config, nothing listed yet; None where its images are on remote storage.

    Args:
        key: its place in the config, for messages.
        config: of a data set for which ``ours_for`` has one.

    Raises:
        DataError: folder or list are not there, arguments do not go together, or class names are
            none.
        ConfigError: an argument of the wrong kind.
    """
    kind = ours_for(config.get("type"))
    assert kind is not None
    skipped = ("type", "_scope_", "pipeline", "lazy_init")
    arguments: dict[str, Any] = {k: v for k, v in config.items() if k not in skipped}
    try:
        stated_classes(config)
    except DataError as error:
        raise DataError(f"{key}: {error}") from error
    for place in map(str, map(config.get, ("data_root", "data_prefix", "ann_file"))):
        if is_remote(place):
            check_storage(key, place)
    with told_as_config_error(key, arguments):
        try:
            dataset = kind(**arguments, pipeline=[], lazy_init=True)
        except AssertionError as error:
            raise DataError(f"{key}: {error}") from error
    if not dataset.is_local:
        return None
    if not Path(dataset.img_prefix).is_dir():
        raise DataError(missing(key, "folder", Path(dataset.img_prefix), f"{key}.data_root"))
    if dataset.ann_file and not Path(dataset.ann_file).is_file():
        raise DataError(missing(key, "file", Path(dataset.ann_file), f"{key}.ann_file"))
    return dataset


def check_folders(
    key: str, config: Mapping, num_classes: Mapping[str, int]
) -> tuple[tuple[str, ...] | None, list[str]]:
    """Check that images and labels are there.

    Args:
        key: the data set's place in the config, for messages.
        config: of the data set.
        num_classes: for config keys the classes they state, which the numbers of a list must fit.

    Returns:
        The names of class folders, None where there are none, and what is worth knowing.

    Raises:
        DataError: with the place and the next step.
    """
    dataset = open_folders(key, config)
    if dataset is None:
        return None, []
    if dataset.ann_file:
        return None, _check_list(key, dataset, num_classes, _names_key(key, config))
    try:
        listing = dataset.list_folder()
    except NoDataError as error:
        raise DataError(empty(key, str(error), Path(dataset.img_prefix))) from error
    except DataError as error:
        raise DataError(f"{key}: {error}") from error
    remarks = []
    if listing.left_out():
        of = f" of {len(listing.classes)} classes" if dataset.with_label else ""
        remarks.append(
            f"{len(listing):,} images{of} are read from '{dataset.img_prefix}'; left out: "
            + ", ".join(listing.left_out())
        )
    alike = classes_remark(listing)
    if alike:
        remarks.append(f"'{dataset.img_prefix}': {alike}")
    if dataset.with_label and (deep := depth_remark(listing)):
        remarks.append(deep)
    return listing.classes if dataset.with_label else None, remarks


def _names_key(key: str, config: Mapping) -> str | None:
    """Where the config names classes; None where the data set's type does."""
    if (config.get("metainfo") or {}).get("classes") is not None:
        return f"{key}.metainfo.classes"
    return f"{key}.classes" if config.get("classes") is not None else None


def _check_list(
    key: str, dataset: CustomDataset, num_classes: Mapping[str, int], names_key: str | None
) -> list[str]:
    path = dataset.ann_file
    try:
        samples = dataset.read_list()
    except NoDataError as error:
        raise DataError(empty(key, str(error), Path(path))) from error
    except DataError as error:
        raise DataError(f"{key}: {error}") from error
    names = [name for name, _ in samples]
    gone = missing_images(dataset.img_prefix, names)
    if gone:
        raise DataError(
            f"{key}: {len(gone):,} of {len(names):,} images in '{path}' are not in "
            f"'{dataset.img_prefix}': {quoted(gone)}; correct the list, data_root or data_prefix"
        )
    remarks = []
    repeated = len(names) - len(set(names))
    if repeated:
        remarks.append(f"'{path}' lists {counted(repeated, 'image')} more than once")
    labels = {label for _, label in samples if label is not None}
    if not labels:
        return remarks
    if dataset.CLASSES is not None:
        _check_named(key, dataset, labels, names_key)
    for stated, count in num_classes.items():
        if min(labels) == 1 and max(labels) == count:
            raise DataError(
                f"{key}: the class numbers in '{path}' go from 1 to {count}, but MMPretrain counts "
                f"from 0 to {count - 1} ({stated}: {count} classes): take 1 from each"
            )
        if max(labels) >= max(count, _MOST_CLASSES):
            raise DataError(
                f"{key}: '{path}' has class number {shown(max(labels))}, which no "
                "data set has; numbers count the classes from 0: correct the list"
            )
        if max(labels) >= count:
            raise DataError(
                f"{key}: '{path}' has class number {max(labels)}, but the config says "
                f"{stated}={count}; set --cfg-options {stated}={max(labels) + 1} or more"
            )
    without = [number for number in range(max(labels)) if number not in labels]
    if without and without[-1] == min(labels) - 1:
        remarks.append(
            f"no image in '{path}' has class number {quoted(without)}; if its numbers start at "
            f"{min(labels)}, take {min(labels)} from each: MMPretrain counts from 0"
        )
    elif without:
        remarks.append(f"no image in '{path}' has class number {quoted(without)}")
    return remarks


def _check_named(key: str, dataset: CustomDataset, labels: set[int], names_key: str | None) -> None:
    """Check that every number in a list has a name."""
    count, highest = len(dataset.CLASSES), max(labels)
    if highest < count:
        return
    where = names_key or f"type {type(dataset).__name__!r}"
    told = (
        f"{key}: '{dataset.ann_file}' has class number {highest}, and {where} names {count} "
        f"class{'es' * (count != 1)} ({quoted(dataset.CLASSES)})"
    )
    if min(labels) == 1 and highest == count:
        raise DataError(
            f"{told}: MMPretrain counts from 0 to {count - 1}, so take 1 from each number"
        )
    how = "add those that are missing" if names_key else "take type='CustomDataset' and name them"
    raise DataError(
        f"{told}: numbers count from 0, so {highest + 1} names are needed; {how}, or correct the "
        "list"
    )
