"""What the image folders and lists of a config hold, and what is wrong with them.

:func:`mmrbdc.datasets.check_config_data` says whether a run can start. This counts the images of
every class, decodes them all as training does, and reports all that it finds.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.configs import LOADERS, find_datasets
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.folders.check import check_folders, open_folders
from mmrbdc.datasets.folders.dataset import CustomDataset, ours_for
from mmrbdc.datasets.pictures.check import Examination, check_pictures, picture_lines


@dataclass
class FolderReport:
    """What one data set holds.

    Attributes:
        name: its splits: ``train``, or ``val, test`` where both read the same.
        counted: whether anything could be counted; where not, all numbers are 0.
        images: how many.
        class_images: of each class, by its name, or by its number where it has none.
        errors: what has to be mended.
        remarks: what is worth knowing.
    """

    name: str
    counted: bool = False
    images: int = 0
    class_images: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def reads_folders(cfg: Mapping) -> bool:
    """Whether a loader of a config reads MMPretrain's image folders or lists."""
    return any(ours_for(dataset.get("type")) is not None for _, _, dataset in _datasets(cfg))


def inspect_folders(cfg: Mapping, *, fast: bool = False) -> tuple[list[FolderReport], list[str]]:
    """Look at all loaders of a config.

    Args:
        cfg: MMEngine config with any of ``{train,val,test}_dataloader``.
        fast: read the pictures' headers only.

    Returns:
        A report of each data set, and what is wrong between them or with the model's heads.
    """
    names: dict[int, list[str]] = {}
    kept: list[tuple[str, Mapping]] = []
    for split, key, dataset in _datasets(cfg):
        same = next((i for i, (_, other) in enumerate(kept) if other == dataset), len(kept))
        if same == len(kept):
            kept.append((key, dataset))
        if split not in names.setdefault(same, []):
            names[same].append(split)
    reports = [
        _inspect(FolderReport(", ".join(names[i])), key, dataset, fast)
        for i, (key, dataset) in enumerate(kept)
    ]
    if any(report.errors for report in reports):
        return reports, []
    try:
        check_config_data(cfg)
    except DataError as error:
        return reports, [str(error)]
    return reports, []


def _datasets(cfg: Mapping) -> list[tuple[str, str, Mapping]]:
    return [
        (split, key, dataset)
        for split in LOADERS
        if cfg.get(f"{split}_dataloader")
        for key, dataset in find_datasets(
            f"{split}_dataloader.dataset", cfg[f"{split}_dataloader"]["dataset"]
        )
    ]


def _inspect(report: FolderReport, key: str, config: Mapping, fast: bool) -> FolderReport:
    if ours_for(config.get("type")) is None:
        report.remarks.append(f"{config.get('type')} is not an image folder or list: not looked at")
        return report
    try:
        dataset = open_folders(key, config)
        if dataset is None:
            report.remarks.append(f"{key} is on remote storage: not looked at")
            return report
        _, report.remarks = check_folders(key, config, {})
        dataset.full_init()
    except DataError as error:
        report.errors.append(str(error))
        return report
    infos: list[Mapping[str, Any]] = [dataset.get_data_info(i) for i in range(len(dataset))]
    report.counted, report.images = True, len(infos)
    report.class_images = _count(dataset, infos)
    examination = Examination(config.get("pipeline") or (), fast=fast)
    pictures = check_pictures([info["img_path"] for info in infos], examination)
    errors, remarks = picture_lines(pictures)
    report.errors += errors
    report.remarks += remarks
    return report


def _count(dataset: CustomDataset, infos: list[Mapping[str, Any]]) -> Counter[str]:
    if not dataset.with_label:
        return Counter()
    labels = Counter(info["gt_label"] for info in infos)
    classes = dataset.CLASSES or ()
    names = {i: str(name) for i, name in enumerate(classes)}
    known = {name: labels[i] for i, name in names.items()}
    return Counter(known | {str(n): c for n, c in sorted(labels.items()) if n not in names})
