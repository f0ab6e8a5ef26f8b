"""Whether annotations and images are where a data set of a config says."""

import os
from pathlib import Path

from mmrbdc.datasets.configs import check_storage, empty, is_remote, missing
from mmrbdc.datasets.errors import DataError


def check_places(key: str, ann_file: str, images: str | Path | None) -> bool:
    """Look for the annotation file and the folder of the images.

    Args:
        key: of the data set in the config, for messages.
        ann_file: path of the annotations, joined as MMEngine joins it.
        images: folder of the images, joined likewise; None where it is not looked at.

    Returns:
        Whether the annotations are on a disk of this machine; those on other storage are not
        looked at.

    Raises:
        DataError: with the place and the next step.
    """
    for place in (ann_file, str(images or "")):
        if is_remote(place):
            check_storage(key, place)
    if is_remote(ann_file):
        return False
    path = Path(ann_file)
    if path.is_dir():
        raise DataError(
            f"{key}.ann_file: '{path}' is a folder; name the file of the annotations: "
            f"--cfg-options {key}.ann_file=FILE"
        )
    if not path.is_file():
        option = f"{key}.data_root" if not ann_file.startswith("/") else f"{key}.ann_file"
        raise DataError(missing(key, "file", path, option))
    if path.stat().st_size == 0:
        raise DataError(empty(key, f"'{path}' is empty", path))
    if images is None or is_remote(str(images)):
        return True
    folder = Path(images)
    if not folder.is_dir():
        raise DataError(missing(key, "folder", folder, f"{key}.data_root"))
    if not any(os.scandir(folder)):
        raise DataError(empty(key, f"folder '{folder}' is empty", folder))
    return True
