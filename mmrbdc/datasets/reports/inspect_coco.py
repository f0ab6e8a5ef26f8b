"""What a data set in COCO's format holds, and what is wrong with it, before anything trains on it.

:func:`mmrbdc.datasets.check_config_data` looks in a second whether a run can start. This reads
every annotation and opens every image, and reports all that it finds.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from mmrbdc.config_parts import type_name
from mmrbdc.datasets.check import check_config_data
from mmrbdc.datasets.coco.index import refuse
from mmrbdc.datasets.coco.memory import judged
from mmrbdc.datasets.coco.pictures import check_files, shared_remark
from mmrbdc.datasets.coco.places import check_places
from mmrbdc.datasets.coco.table import Table
from mmrbdc.datasets.configs import LOADERS, check_storage, find_datasets, is_remote
from mmrbdc.datasets.detection.limits import (
    COCO_MAX_DETS,
    Limit,
    ap_limit,
    config_limits,
    limit_remarks,
)
from mmrbdc.datasets.detection.uses import class_problem, is_coco, use_of
from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.numbering import FILE_ORDER, numbering_problem
from mmrbdc.datasets.pictures.check import Examination
from mmrbdc.wording import counted, quoted


@dataclass(frozen=True)
class CocoSplit:
    """Where a split is and what is expected of it.

    Attributes:
        name: ``train``, ``val``, ...
        ann_file: in COCO's format.
        images: folder of its images; None leaves the images alone.
        classes: that the config states; None takes the file's.
        masks: whether every box needs a mask; None where those that are there have to be right.
        objects: whether there have to be annotations.
        limits: beyond which objects of an image cannot be found.
        pipeline: config of the data set's, whose loader decodes the images.
        fast: whether to read the images' headers only.
        key: of its first data set in the config; empty without a config.
        trains: whether training reads it; None where nobody has said.
        remote: where it is, on storage that is not looked at; empty on a disk of this machine.
    """

    name: str
    ann_file: Path
    images: Path | None = None
    classes: tuple[str, ...] | None = None
    masks: bool | None = None
    objects: bool = True
    limits: tuple[Limit, ...] = field(default=(ap_limit(COCO_MAX_DETS),), compare=False)
    pipeline: tuple[Mapping, ...] = field(default=(), compare=False)
    fast: bool = False
    key: str = field(default="", compare=False)
    trains: bool | None = field(default=None, compare=False)
    remote: str = ""

    @property
    def label(self) -> str:
        """What it is called beside others."""
        return self.key or self.name


@dataclass(frozen=True)
class SplitReport:
    """What a split holds.

    Attributes:
        split: which one.
        classes: of the config, or else of the file, in the file's order.
        images: how many.
        empty: images without a box of these classes.
        boxes: of these classes, crowds left out.
        crowds: regions marked ``iscrowd``, which are neither learned nor scored.
        class_images: images with a box of a class, by class.
        class_boxes: boxes of a class.
        errors: what has to be mended.
        remarks: what is worth knowing.
        sizes: of the image files that were found, bytes.
        counted: whether anything could be counted; where not, all numbers are 0.
    """

    split: CocoSplit
    classes: tuple[str, ...]
    images: int
    empty: int
    boxes: int
    crowds: int
    class_images: Counter[str]
    class_boxes: Counter[str]
    errors: tuple[str, ...]
    remarks: tuple[str, ...]
    sizes: dict[Path, int] = field(repr=False)
    counted: bool = True

    @classmethod
    def of_nothing(
        cls, split: CocoSplit, errors: tuple[str, ...] = (), remarks: tuple[str, ...] = ()
    ) -> "SplitReport":
        """The report of a split that was not counted."""
        none: Counter[str] = Counter()
        return cls(split, (), 0, 0, 0, 0, none, none, errors, remarks, {}, counted=False)


def splits_of_config(cfg: Mapping) -> list[CocoSplit]:
    """Find the splits in the loaders of a detector's config; val and test are named together where
    they are equal.

    Raises:
        DataError: no loader, or one that reads no ``CocoDataset``.
    """
    found: dict[tuple[bool, CocoSplit], list[str]] = {}
    for name in LOADERS:
        loader = cfg.get(f"{name}_dataloader")
        if not loader:
            continue
        for key, dataset in find_datasets(f"{name}_dataloader.dataset", loader["dataset"]):
            if not is_coco(dataset):
                kind = type_name(dataset)
                raise DataError(
                    f"{key} is a {kind}; only data in COCO's format that MMDetection's CocoDataset "
                    "loads is looked at here, and training does not judge other data either"
                )
            use = use_of(key, dataset)
            split = CocoSplit(
                name="",
                ann_file=Path(use.ann_file),
                images=Path(use.images),
                classes=use.classes,
                masks=use.masks,
                objects=not use.test_mode,
                pipeline=tuple(dataset.get("pipeline") or ()),
                key=key,
                trains=name == "train",
                remote=next(filter(is_remote, (use.ann_file, use.images)), ""),
            )
            found.setdefault((name == "train", split), []).append(name)
    if not found:
        raise DataError("the config has no train_dataloader, val_dataloader or test_dataloader")
    return [
        replace(split, name=", ".join(names), limits=config_limits(cfg, *names))
        for (_, split), names in found.items()
    ]


def inspect_config(
    cfg: Mapping, *, fast: bool = False
) -> tuple[list[SplitReport], list[str], list[str]]:
    """Read all splits of a config, and ask last what the start of a training or a test asks.

    Args:
        cfg: a detector's.
        fast: read the images' headers only.

    Returns:
        As of :func:`inspect`, and what the start would tell that no report has; without errors,
        training and testing start.

    Raises:
        DataError: the config names no such data.
    """
    reports, errors = inspect([replace(split, fast=fast) for split in splits_of_config(cfg)])
    remarks: list[str] = []
    if not errors and not any(report.errors for report in reports):
        told = {remark for report in reports for remark in report.remarks}
        try:
            remarks = [line for line in check_config_data(cfg) if line not in told]
        except DataError as error:
            errors.append(str(error))
    return reports, errors, remarks


def images_of_splits(cfg: Mapping, reports: Sequence[SplitReport]) -> dict[str, int]:
    """Count the images of ``'train'``, ``'val'`` and ``'test'`` that a config's filter leaves.

    Args:
        cfg: that the reports are of.
        reports: see :func:`inspect`.
    """
    counts: dict[str, int] = Counter()
    for report in reports:
        for name in report.split.name.split(", ") if report.counted else ():
            datasets = find_datasets("", cfg[f"{name}_dataloader"]["dataset"])
            filters = [dataset.get("filter_cfg") or {} for _, dataset in datasets]
            filtered = name == "train" and all(f.get("filter_empty_gt") for f in filters)
            counts[name] += report.images - (report.empty if filtered else 0)
    return dict(counts)


def inspect(splits: Sequence[CocoSplit]) -> tuple[list[SplitReport], list[str]]:
    """Read all splits.

    Returns:
        A report of each, with a remark where two share images, and the errors between them:
        different classes.
    """
    reports = [_report(split) for split in splits]
    errors = []
    for (_, one), (place, other) in combinations(enumerate(reports), 2):
        if not one.counted or not other.counted:
            continue
        problem = numbering_problem(
            one.split.label, one.classes, other.split.label, other.classes, FILE_ORDER
        )
        if problem:
            errors.append(problem)
        if one.split.trains is not None and one.split.trains == other.split.trains:
            continue
        shared = _shared_images(one.sizes, other.sizes)
        if shared:
            told = shared_remark(one.split.label, other.split.label, shared)
            latest = reports[place]
            reports[place] = replace(latest, remarks=(*latest.remarks, told))
    return reports, errors


def _report(split: CocoSplit) -> SplitReport:
    """What a split holds; why it cannot be counted, where it cannot."""
    if split.remote:
        try:
            check_storage(split.label, split.remote)
        except DataError as error:
            return SplitReport.of_nothing(split, errors=(str(error),))
        remark = f"'{split.remote}' is on remote storage: not looked at"
        return SplitReport.of_nothing(split, remarks=(remark,))
    try:
        return inspect_split(split)
    except DataError as error:
        return SplitReport.of_nothing(split, errors=(str(error),))


def inspect_split(split: CocoSplit) -> SplitReport:
    """Read one annotation file and, where a folder is named, open its images.

    Raises:
        DataError: the annotations or the folder of the images are not there, or the annotations not
            in COCO's format at all.
    """
    if split.key:
        check_places(split.key, str(split.ann_file), split.images)
    elif split.images is not None and not split.images.is_dir():
        raise DataError(
            f"there is no folder '{split.images}'; name the one that holds the images of "
            f"'{split.ann_file}'"
        )
    verdict = judged(split.ann_file, split.masks, objects=split.objects, keep=True)
    if verdict.table is None:
        refuse(verdict)
    table = verdict.table
    assert table is not None
    errors = [str(finding) for finding in verdict.errors]
    remarks = [str(finding) for finding in verdict.remarks]
    classes = _check_classes(split, table.names, errors)
    images = verdict.file.content["images"]
    sizes = _check_files(split, images, errors, remarks)

    single = table.sound & ~table.crowd
    wanted = single & table.of_classes(classes)
    class_boxes = _by_class(table, table.category[wanted])
    left_out = _by_class(table, table.category[single & ~wanted])
    pairs = np.unique(np.stack([table.image[wanted], table.category[wanted]]), axis=1)
    empty = len(images) - len(np.unique(table.image[wanted]))
    none = [name for name in classes if not class_boxes[name]]
    if left_out:
        count = counted(left_out.total(), "box")
        remarks.append(f"{count} of categories that the config leaves out: {quoted(left_out)}")
    if none:
        remarks.append(f"no box of {counted(len(none), 'class')}: {quoted(none)}")
    if empty:
        remarks.append(f"{counted(empty, 'image')} without a box; training leaves such images out")
    annotations = verdict.file.content.get("annotations", [])
    scored = [annotations[row] for row in np.flatnonzero(wanted)]
    remarks += limit_remarks(scored, len(images), split.limits)
    return SplitReport(
        split=split,
        classes=classes,
        images=len(images),
        empty=empty,
        boxes=int(wanted.sum()),
        crowds=int((table.sound & table.crowd).sum()),
        class_images=_by_class(table, pairs[1]),
        class_boxes=class_boxes,
        errors=tuple(errors),
        remarks=tuple(remarks),
        sizes=sizes,
    )


def _by_class(table: Table, rows: np.ndarray) -> Counter[str]:
    """How often each category (by its row) occurs, by name."""
    return Counter({table.names[row]: n for row, n in Counter(rows.tolist()).items()})


def _check_classes(split: CocoSplit, in_file: Sequence[str], errors: list[str]) -> tuple[str, ...]:
    """Return the classes in the order in which MMDetection numbers them: the file's."""
    if split.classes is None:
        return tuple(in_file)
    if problem := class_problem(tuple(split.classes), split.ann_file, in_file):
        errors.append(problem)
    return tuple(name for name in in_file if name in split.classes)


def _check_files(
    split: CocoSplit, images: Sequence[Mapping[str, Any]], errors: list[str], remarks: list[str]
) -> dict[Path, int]:
    """Look at every image; return the bytes of those that are there."""
    if split.images is None:
        return {}
    examination = Examination(split.pipeline, scope="mmdet", fast=split.fast)
    sizes, wrong, worth_knowing = check_files(split.images, images, examination)
    errors += wrong
    remarks += worth_knowing
    return sizes


def _shared_images(one: Mapping[Path, int], other: Mapping[Path, int]) -> list[str]:
    """Files of ``one`` whose content ``other`` has too, under whatever name."""
    candidates = set(one.values()) & set(other.values())
    there = {_digest(path) for path, size in other.items() if size in candidates}
    mine = [path for path, size in one.items() if size in candidates]
    return [path.name for path in mine if _digest(path) in there]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
