"""Look at the data before anything is built: missing, empty, or not what the head expects.

Only what the files themselves say is looked at, and of large files only the part that matters, so
that this takes a second where reading the data set takes minutes.
"""

import json
import mmap
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmrbdc.datasets.errors import DataError

LOADERS = ("train", "val", "test")
DEMO_FOLDERS = {"digits", "digits_small", "digit_scenes"}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif")
"""What MMPretrain's ``CustomDataset`` takes for an image unless it is told otherwise."""


def check_config_data(cfg: Mapping) -> None:
    """Check all loaders of a config: see ``check_data``, and that the splits have the same classes.

    Args:
        cfg: An MMEngine config with ``model`` and any of ``{train,val,test}_dataloader``. Every
            ``num_classes`` in ``model`` and ``data_preprocessor`` is compared with the data.
    """
    num_classes = dict(_find_num_classes({k: cfg.get(k) for k in ("model", "data_preprocessor")}))
    first: tuple[str, tuple[str, ...]] | None = None
    for split in LOADERS:
        name = f"{split}_dataloader"
        if not cfg.get(name):
            continue
        classes = check_data(cfg[name], name=name, num_classes=num_classes)
        if classes is None:
            continue
        if first is None:
            first = (name, classes)
        elif set(classes) != set(first[1]):
            raise DataError(
                f"{first[0]} and {name} have different classes; "
                f"only in {first[0]}: {_some(sorted(set(first[1]) - set(classes)))}, "
                f"only in {name}: {_some(sorted(set(classes) - set(first[1])))}; "
                "class numbers come from the sorted names, so every split needs the same ones"
            )
    for split in LOADERS[1:]:
        evaluators = cfg.get(f"{split}_evaluator") or []
        single = isinstance(evaluators, Mapping)
        for number, evaluator in enumerate([evaluators] if single else evaluators):
            ann_file = evaluator.get("ann_file")
            if ann_file and not _is_remote(ann_file) and not Path(ann_file).is_file():
                key = f"{split}_evaluator" + ("" if single else f".{number}") + ".ann_file"
                raise DataError(_missing(key, "file", Path(ann_file), key))


def check_data(
    dataloader: Mapping,
    *,
    name: str = "train_dataloader",
    num_classes: Mapping[str, int] | None = None,
) -> tuple[str, ...] | None:
    """Check that the data of a loader is there, is not empty, and has the model's classes.

    Looks through wrappers. Knows MMPretrain's ``CustomDataset`` and ``ImageNet`` and MMDetection's
    ``CocoDataset``; of other types it says nothing, and neither of data on remote storage.

    Args:
        dataloader: Config of the loader.
        name: Its name in the config, for messages.
        num_classes: For config keys, such as ``model.head.num_classes``, the classes they state.

    Returns:
        The class names; None where the files do not tell.

    Raises:
        DataError: With the place and the next step.
    """
    classes = None
    for key, dataset in find_datasets(f"{name}.dataset", dataloader["dataset"]):
        kind = dataset.get("type")
        kind = getattr(kind, "__name__", str(kind)).rpartition(".")[-1]
        if _is_remote(str(dataset.get("data_root", ""))):
            continue
        if kind in ("CustomDataset", "ImageNet"):
            classes = _check_images(key, dataset, kind, num_classes or {})
        elif kind == "CocoDataset":
            classes = _check_coco(key, dataset)
        else:
            continue
        wrong = {k: n for k, n in (num_classes or {}).items() if classes and n != len(classes)}
        if classes and wrong:
            stated = ", ".join(f"{k}={n}" for k, n in wrong.items())
            options = " ".join(f"{k}={len(classes)}" for k in wrong)
            raise DataError(
                f"{key} has {len(classes)} classes ({_some(classes)}), but the config says "
                f"{stated}; correct the data's place, or set --cfg-options {options}"
            )
    return classes


def _check_images(
    key: str, dataset: Mapping, kind: str, num_classes: Mapping[str, int]
) -> tuple[str, ...] | None:
    """An ImageFolder, or a folder and a list of images with their class numbers."""
    data_root = Path(dataset.get("data_root") or "").expanduser()
    prefix = dataset.get("data_prefix") or dataset.get("split") or ""
    folder = data_root / (prefix.get("img_path", "") if isinstance(prefix, Mapping) else prefix)
    if not folder.is_dir():
        raise DataError(_missing(key, "folder", folder, f"{key}.data_root"))
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
            raise DataError(_empty(key, f"folder '{folder}' has no image in it", folder))
        return stated

    folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise DataError(
            _empty(key, f"folder '{folder}' has no class folders (CLASS/IMAGE) in it", folder)
        )
    empty = [p.name for p in folders if not _has_image(p, suffixes)]
    if empty:
        what = f"{len(empty)} of {len(folders)} class folders in '{folder}' have no image in them"
        raise DataError(_empty(key, f"{what} ({_some(empty)})", folder))
    return tuple(p.name for p in folders)


def _check_image_list(key: str, path: Path, num_classes: Mapping[str, int]) -> None:
    if not path.is_file():
        raise DataError(_missing(key, "file", path, f"{key}.ann_file"))
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
        raise DataError(_empty(key, f"'{path}' lists no image", path))
    for stated, count in num_classes.items():
        if largest >= count:
            raise DataError(
                f"{key}: '{path}' has class number {largest}, but the config says "
                f"{stated}={count}; set --cfg-options {stated}={largest + 1} or more"
            )


def _check_coco(key: str, dataset: Mapping) -> tuple[str, ...]:
    """A COCO annotation file and its image folder."""
    data_root = Path(dataset.get("data_root") or "")
    path = data_root / (dataset.get("ann_file") or "")
    if not path.is_file():
        raise DataError(_missing(key, "file", path, f"{key}.data_root"))
    if path.stat().st_size == 0:
        raise DataError(_empty(key, f"'{path}' is empty", path))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        needed = ["images"] if dataset.get("test_mode") else ["images", "annotations"]
        for section in needed:
            if not re.search(rb'"%s"\s*:\s*\[\s*\{' % section.encode(), content):
                raise DataError(_empty(key, f"'{path}' has no {section} in COCO's format", path))
        names = _read_categories(content)
    if not names:
        raise DataError(_empty(key, f"'{path}' has no categories in COCO's format", path))

    prefix = dataset.get("data_prefix") or {}
    folder = data_root / (prefix.get("img", "") if isinstance(prefix, Mapping) else prefix)
    if not folder.is_dir():
        raise DataError(_missing(key, "folder", folder, f"{key}.data_root"))
    if not any(os.scandir(folder)):
        raise DataError(_empty(key, f"folder '{folder}' is empty", folder))

    classes = stated_classes(dataset) or coco_classes()
    missing = [name for name in classes if name not in names]
    if missing:
        raise DataError(
            f"{key}: '{path}' has no category {_some(missing)}, it has {_some(names)}; name the "
            f"file's categories in {key}.metainfo.classes, and their number in the model's heads"
        )
    return classes


def _read_categories(content: mmap.mmap, longest: int = 16 << 20) -> list[str]:
    """Names in the ``categories`` of a COCO file; empty if there are none to be read."""
    found = re.search(rb'"categories"\s*:\s*(?=\[)', content)
    if not found:
        return []
    text = content[found.end() : found.end() + longest].decode("utf-8", errors="replace")
    try:
        categories, _ = json.JSONDecoder().raw_decode(text)
        return [category["name"] for category in categories]
    except (ValueError, TypeError, KeyError):
        return []


def coco_classes() -> tuple[str, ...]:
    """What MMDetection's ``CocoDataset`` takes for the classes unless it is told otherwise."""
    from mmdet.datasets import CocoDataset

    return CocoDataset.METAINFO["classes"]


def stated_classes(dataset: Mapping) -> tuple[str, ...] | None:
    """The classes that a data set's config names; None where it names none."""
    classes = (dataset.get("metainfo") or {}).get("classes") or dataset.get("classes")
    return tuple(classes) if isinstance(classes, list | tuple) else None


def find_datasets(key: str, dataset: Mapping) -> Iterator[tuple[str, Mapping]]:
    """The data sets inside wrappers (``dataset=``) and concatenations (``datasets=[]``)."""
    if isinstance(dataset.get("dataset"), Mapping):
        yield from find_datasets(f"{key}.dataset", dataset["dataset"])
    elif dataset.get("datasets"):
        for number, part in enumerate(dataset["datasets"]):
            yield from find_datasets(f"{key}.datasets.{number}", part)
    else:
        yield key, dataset


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


def _is_remote(path: str) -> bool:
    return "://" in path


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most]) or "none"
    return f"{shown}, ... {len(names)} in all" if len(names) > most else shown


def _missing(key: str, what: str, path: Path, option: str) -> str:
    where = f"or name another place: --cfg-options {option}=PATH"
    return f"{key}: there is no {what} '{path}'; {_how_to_get(path)}, {where}"


def _empty(key: str, what: str, path: Path) -> str:
    return f"{key}: {what}; {_how_to_get(path)}"


def _how_to_get(path: Path) -> str:
    if DEMO_FOLDERS & set(path.parts):
        return "make the demo data with `python tools/make_demo_data.py`"
    return "put or link the data there"
