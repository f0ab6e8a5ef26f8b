"""Look at the data before anything is built: missing, empty, or not what the head expects.

Only what the files themselves say is looked at, no image is opened: this takes seconds where
reading the data set takes minutes.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmrbdc.datasets.coco.config import CocoOfConfig
from mmrbdc.datasets.configs import (
    LOADERS,
    empty,
    find_datasets,
    find_evaluators,
    is_remote,
    missing,
    some,
    stated_classes,
    type_name,
)
from mmrbdc.datasets.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif")
"""What MMPretrain's ``CustomDataset`` takes for an image unless it is told otherwise."""


def check_config_data(cfg: Mapping) -> list[str]:
    """Check all loaders of a config: see ``check_data``, and that the splits have the same classes.

    Annotations in COCO's format, those of the evaluators too, are judged once a file by the rules
    of ``mmrbdc.datasets.coco``.

    Args:
        cfg: An MMEngine config with ``model`` and any of ``{train,val,test}_dataloader``. Every
            ``num_classes`` in ``model`` and ``data_preprocessor`` is compared with the data.

    Returns:
        What is worth knowing about the data.

    Raises:
        DataError: With the place and the next step.
    """
    coco = CocoOfConfig(cfg)
    num_classes = dict(_find_num_classes({k: cfg.get(k) for k in ("model", "data_preprocessor")}))
    first: tuple[str, tuple[str, ...]] | None = None
    for split in LOADERS:
        name = f"{split}_dataloader"
        if not cfg.get(name):
            continue
        classes = check_data(cfg[name], name=name, num_classes=num_classes, coco=coco)
        if classes is None:
            continue
        if first is None:
            first = (name, classes)
        elif set(classes) != set(first[1]):
            raise DataError(
                f"{first[0]} and {name} have different classes; "
                f"only in {first[0]}: {some(sorted(set(first[1]) - set(classes)))}, "
                f"only in {name}: {some(sorted(set(classes) - set(first[1])))}; "
                "class numbers come from the sorted names, so every split needs the same ones"
            )
    for split in LOADERS[1:]:
        for key, evaluator in find_evaluators(cfg, split):
            ann_file = evaluator.get("ann_file")
            if ann_file and not is_remote(ann_file) and not Path(ann_file).is_file():
                option = f"{key}.ann_file"
                raise DataError(missing(option, "file", Path(ann_file), option))
    coco.check_evaluators()
    return coco.remarks


def check_data(
    dataloader: Mapping,
    *,
    name: str = "train_dataloader",
    num_classes: Mapping[str, int] | None = None,
    coco: CocoOfConfig | None = None,
) -> tuple[str, ...] | None:
    """Check that the data of a loader is there, is not empty, and has the model's classes.

    Looks through wrappers. Knows MMPretrain's ``CustomDataset`` and ``ImageNet`` and MMDetection's
    ``CocoDataset``; of other types it says nothing, and neither of data on remote storage.

    Args:
        dataloader: Config of the loader.
        name: Its name in the config, for messages.
        num_classes: For config keys, such as ``model.head.num_classes``, the classes they state.
        coco: The COCO files of the whole config; of this loader alone by default.

    Returns:
        The class names; None where the files do not tell.

    Raises:
        DataError: With the place and the next step.
    """
    classes = None
    coco = coco or CocoOfConfig({name: dataloader})
    for key, dataset in find_datasets(f"{name}.dataset", dataloader["dataset"]):
        kind = type_name(dataset)
        if is_remote(str(dataset.get("data_root", ""))):
            continue
        if kind in ("CustomDataset", "ImageNet"):
            classes = _check_images(key, dataset, kind, num_classes or {})
        elif key in coco.uses:
            classes = coco.check(key)
        else:
            continue
        wrong = {k: n for k, n in (num_classes or {}).items() if classes and n != len(classes)}
        if classes and wrong:
            stated = ", ".join(f"{k}={n}" for k, n in wrong.items())
            options = " ".join(f"{k}={len(classes)}" for k in wrong)
            raise DataError(
                f"{key} has {len(classes)} classes ({some(classes)}), but the config says "
                f"{stated}; correct the data's place, or set --cfg-options {options}"
            )
    coco.check_training(name)
    return classes


def _check_images(
    key: str, dataset: Mapping, kind: str, num_classes: Mapping[str, int]
) -> tuple[str, ...] | None:
    """An ImageFolder, or a folder and a list of images with their class numbers."""
    data_root = Path(dataset.get("data_root") or "").expanduser()
    prefix = dataset.get("data_prefix") or dataset.get("split") or ""
    folder = data_root / (prefix.get("img_path", "") if isinstance(prefix, Mapping) else prefix)
    if not folder.is_dir():
        raise DataError(missing(key, "folder", folder, f"{key}.data_root"))
    suffixes = tuple(s.lower() for s in dataset.get("extensions", IMAGE_SUFFIXES))
    stated = stated_classes(dataset)

    ann_file = dataset.get("ann_file")
    if not ann_file and kind == "ImageNet" and dataset.get("split"):
        default = data_root / "meta" / f"{dataset['split']}.txt"
        ann_file = default if default.is_file() else None
    if ann_file:
        _check_image_list(key, data_root / ann_file, num_classes)
        return stated
    if not dataset.get("with_label", True) or dataset.get("split") == "test":
        if not _has_image(folder, suffixes):
            raise DataError(empty(key, f"folder '{folder}' has no image in it", folder))
        return stated

    folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise DataError(
            empty(key, f"folder '{folder}' has no class folders (CLASS/IMAGE) in it", folder)
        )
    vacant = [p.name for p in folders if not _has_image(p, suffixes)]
    if vacant:
        what = f"{len(vacant)} of {len(folders)} class folders in '{folder}' have no image in them"
        raise DataError(empty(key, f"{what} ({some(vacant)})", folder))
    return tuple(p.name for p in folders)


def _check_image_list(key: str, path: Path, num_classes: Mapping[str, int]) -> None:
    if not path.is_file():
        raise DataError(missing(key, "file", path, f"{key}.ann_file"))
    largest = -1
    with path.open() as lines:
        for number, line in enumerate(lines, start=1):
            label = line.rpartition(" ")[2].strip()
            if not label.isdigit():
                raise DataError(
                    f"{key}: line {number} of '{path}' is not 'IMAGE NUMBER': {line.strip()!r}"
                )
            largest = max(largest, int(label))
    if largest < 0:
        raise DataError(empty(key, f"'{path}' lists no image", path))
    for stated, count in num_classes.items():
        if largest >= count:
            raise DataError(
                f"{key}: '{path}' has class number {largest}, but the config says "
                f"{stated}={count}; set --cfg-options {stated}={largest + 1} or more"
            )


def _find_num_classes(node: object, key: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(node, Mapping):
        parts = [(str(name), part) for name, part in node.items()]
    elif isinstance(node, list | tuple):
        parts = [(str(number), part) for number, part in enumerate(node)]
    else:
        return
    for name, part in parts:
        inner = f"{key}.{name}" if key else name
        if name == "num_classes" and isinstance(part, int):
            yield inner, part
        else:
            yield from _find_num_classes(part, inner)


def _has_image(folder: Path, suffixes: tuple[str, ...]) -> bool:
    return any(name.lower().endswith(suffixes) for _, _, names in os.walk(folder) for name in names)
