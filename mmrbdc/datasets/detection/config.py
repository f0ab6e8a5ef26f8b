"""The COCO files that a config names, in loaders and evaluators, judged before anything is built.

Each file is read and judged once, with masks where any of its uses has them, and what was read is
kept for the run that is checked (:mod:`mmrbdc.datasets.coco.memory`).
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from mmrbdc.config_parts import type_name
from mmrbdc.datasets.coco.index import refusal
from mmrbdc.datasets.coco.memory import judged
from mmrbdc.datasets.coco.pictures import missing_files, shared_remark
from mmrbdc.datasets.coco.places import check_places
from mmrbdc.datasets.coco.table import Table
from mmrbdc.datasets.configs import LOADERS, find_datasets, find_evaluators, is_remote
from mmrbdc.datasets.detection.training import Kept, what_is_kept
from mmrbdc.datasets.detection.uses import CocoUse, class_problem, is_coco, use_of
from mmrbdc.datasets.errors import DataError
from mmrbdc.wording import counted, quoted


@dataclass(frozen=True)
class _Judged:
    table: Table | None
    refusal: str | None
    remarks: list[str]


class CocoOfConfig:
    """The COCO files of a config.

    Args:
        cfg: an MMEngine config with any of ``{train,val,test}_dataloader`` and evaluators.

    Attributes:
        uses: of annotation files by the data sets of all loaders, by the data set's key.
        remarks: what was found worth knowing so far.
    """

    def __init__(self, cfg: Mapping) -> None:
        self._cfg = cfg
        self.uses: dict[str, CocoUse] = {}
        self.remarks: list[str] = []
        self._files: dict[str, _Judged] = {}
        self._masks: dict[str, bool] = {}
        self._no_objects: set[str] = set()
        self._kept: dict[str, Kept] = {}
        needed = set()
        for name in LOADERS:
            loader = cfg.get(f"{name}_dataloader")
            if not loader:
                continue
            for key, dataset in find_datasets(f"{name}_dataloader.dataset", loader["dataset"]):
                if not is_coco(dataset):
                    continue
                self.uses[key] = use = use_of(key, dataset)
                place = os.path.realpath(use.ann_file)
                self._masks[place] = self._masks.get(place, False) or use.masks
                if not use.test_mode:
                    needed.add(place)
        for name in LOADERS[1:]:
            for _, evaluator in find_evaluators(cfg, name):
                if _scores_coco(evaluator):
                    place = os.path.realpath(evaluator["ann_file"])
                    self._masks[place] = self._masks.get(place, False) or _scores_masks(evaluator)
                    if not evaluator.get("format_only"):
                        needed.add(place)
        self._no_objects = self._masks.keys() - needed

    def check(self, key: str) -> tuple[str, ...] | None:
        """Check the files of a data set; return its classes, None for a file on remote storage.

        Raises:
            DataError: with the place and the next step.
        """
        use = self.uses[key]
        if not check_places(key, use.ann_file, use.images):
            return None
        table = self._judged(key, use.ann_file)
        self._check_classes(key, Path(use.ann_file), use.classes, table)
        self._check_kept(use, table)
        self._check_pictures(use, table)
        return use.classes

    def check_training(self, loader: str) -> None:
        """Check that a loader that trains has an object to learn, over all of its data sets.

        Raises:
            DataError: everything is left out; it says why.
        """
        kept = {
            key: kept
            for key, kept in self._kept.items()
            if key.startswith(f"{loader}.") and not self.uses[key].test_mode
        }
        if kept and not sum(part.objects for part in kept.values()):
            key, part = next(iter(kept.items()))
            raise DataError(
                f"{key}: no object of '{self.uses[key].ann_file}' is left to train on: "
                f"{part.reasons()}; correct the annotations, metainfo.classes or filter_cfg"
            )

    def check_evaluators(self) -> None:
        """Check the files that evaluators score against: the rules, and that they fit the loaders'.

        Raises:
            DataError: with the place and the next step.
        """
        for name in LOADERS[1:]:
            uses = [
                use
                for key, use in self.uses.items()
                if key.startswith(f"{name}_dataloader.") and key in self._kept
            ]
            for key, evaluator in find_evaluators(self._cfg, name):
                if _scores_coco(evaluator):
                    self._check_evaluator(f"{key}.ann_file", evaluator, uses)
                elif _lacks_truth(evaluator, self._cfg.get(f"{name}_dataloader")):
                    files = [u.ann_file for k, u in self.uses.items() if k.startswith(f"{name}_")]
                    place = files[0] if len(files) == 1 else "PATH"
                    raise DataError(
                        f"{key}.ann_file: there is none, so that {type_name(evaluator)} has no "
                        "objects to score against; name the annotations of the images that are "
                        f"tested: --cfg-options {shlex.quote(f'{key}.ann_file={place}')}"
                    )

    def tell_shared(self) -> None:
        """Tell of images that are both trained on and scored, by their places."""
        read: dict[tuple[str, str, bool], CocoUse] = {}
        for key, use in self.uses.items():
            if key in self._kept:
                place = os.path.realpath(use.ann_file)
                read.setdefault((place, use.images, key.startswith("train_")), use)
        paths = {part: self._paths(use) for part, use in read.items()}
        for one, other in combinations(read, 2):
            if one[2] and not other[2]:
                there = set(paths[other])
                names = [os.path.basename(path) for path in paths[one] if path in there]
                if names:
                    self.remarks.append(shared_remark(read[one].key, read[other].key, names))

    def _paths(self, use: CocoUse) -> list[str]:
        table = self._files[os.path.realpath(use.ann_file)].table
        assert table is not None
        return [os.path.normpath(os.path.join(use.images, name)) for name in table.file_names]

    def _judged(self, key: str, path: str) -> Table:
        place = os.path.realpath(path)
        if place not in self._files:
            objects = place not in self._no_objects
            verdict = judged(path, self._masks[place], objects=objects, keep=True)
            remarks = [str(remark) for remark in verdict.remarks]
            self._files[place] = _Judged(verdict.table, refusal(verdict.errors), remarks)
            self.remarks += remarks
        known = self._files[place]
        if known.refusal is not None:
            raise DataError(f"{key}: {known.refusal}")
        assert known.table is not None
        return known.table

    def _check_classes(self, key: str, path: Path, classes: tuple[str, ...], table: Table) -> None:
        if problem := class_problem(classes, path, table.names):
            raise DataError(f"{key}: {problem}")

    def _check_kept(self, use: CocoUse, table: Table) -> None:
        try:
            self._kept[use.key] = kept = what_is_kept(table, use)
        except DataError as error:
            raise DataError(f"{use.key}: '{use.ann_file}': {error}") from None
        if not kept.images:
            raise DataError(
                f"{use.key}: no image of '{use.ann_file}' is left: {kept.image_reasons()}; correct "
                "filter_cfg or indices, or the annotations"
            )
        for what, count in kept.lost.items():
            if not use.test_mode and count and "poly2mask" in what:
                told = f"{counted(count, 'object')} of '{use.ann_file}' {what}"
                self.remarks.append(f"{use.key}: {told}")
        if not use.test_mode and kept.small_images:
            self.remarks.append(
                f"{use.key}: {counted(kept.small_images, 'image')} of '{use.ann_file}' left out: a "
                f"side has fewer than filter_cfg.min_size={use.filter_cfg.get('min_size')} pixels"
            )

    def _check_pictures(self, use: CocoUse, table: Table) -> None:
        """Look whether the files of the images that are kept are there."""
        if not use.reads_files or is_remote(use.images):
            return
        rows = self._kept[use.key].rows
        gone = missing_files(use.images, [table.file_names[row] for row in rows])
        if not gone:
            return
        what = (
            f"{use.key}: {len(gone):,} of {len(rows):,} images of '{use.ann_file}' are not in "
            f"'{use.images}' ({quoted(gone)})"
        )
        if use.passes_over and not use.test_mode:
            self.remarks.append(f"{what}; other images are drawn in their place")
            return
        raise DataError(
            f"{what}; put them there, correct {use.key}.data_prefix.img, or take them out of the "
            "annotations: their entries of 'images' and the annotations with their ids"
        )

    def _check_evaluator(self, key: str, evaluator: Mapping, uses: list[CocoUse]) -> None:
        path = evaluator["ann_file"]
        table = self._judged(key, path)
        known = dict(zip(table.image_ids.tolist(), table.file_names, strict=True))
        tested: set[int] = set()
        for use in uses:
            other = self._files[os.path.realpath(use.ann_file)].table
            assert other is not None
            rows = self._kept[use.key].rows
            tested.update(other.image_ids[rows].tolist())
            pairs = [(int(other.image_ids[row]), other.file_names[row]) for row in rows]
            odd = next((p for p in pairs if _last(known.get(p[0])) != _last(p[1])), None)
            if odd is not None:
                there = f"'{known[odd[0]]}'" if odd[0] in known else "no image"
                raise DataError(
                    f"{key}: '{path}' has {there} under the id {odd[0]}, which is '{odd[1]}' in "
                    f"'{use.ann_file}' ({use.key}); score against the annotations of the images "
                    f"that are tested: --cfg-options {shlex.quote(f'{key}={use.ann_file}')}"
                )
            if other is not table:
                self._check_objects(key, path, table, use, other)
            ours = [name for name in other.names if name in use.classes]
            theirs = [name for name in table.names if name in use.classes]
            if ours != theirs:
                raise DataError(
                    f"{key}: '{path}' has the classes {quoted(theirs)}, '{use.ann_file}' "
                    f"({use.key}) has {quoted(ours)}; they are numbered in the order of each "
                    "file's categories, so both need the same ones in the same order"
                )
        if uses and not evaluator.get("format_only"):
            counted = table.sound & ~table.crowd & table.of_classes(uses[0].classes)
            if not counted.any():
                raise DataError(
                    f"{key}: '{path}' has no object of the classes {quoted(uses[0].classes)}, so "
                    "that there is nothing to score"
                )
            untested = len(known.keys() - tested)
            if untested:
                self.remarks.append(
                    f"{key}: {untested:,} of {len(known):,} images of '{path}' are not tested, and "
                    "their objects count as not found"
                )

    def _check_objects(self, key: str, path: str, table: Table, use: CocoUse, other: Table) -> None:
        """Compare the objects of an evaluator's file with those of its loader's."""
        theirs = _objects_of(table, use.classes)
        mine = _objects_of(other, use.classes)
        same = len(mine & theirs)
        if mine and not same:
            raise DataError(
                f"{key}: '{path}' has other objects than '{use.ann_file}' ({use.key}) on images "
                f"of the same ids, not one is the same; score against the annotations of the "
                f"images that are tested: --cfg-options {shlex.quote(f'{key}={use.ann_file}')}"
            )
        if same < len(mine):
            self.remarks.append(
                f"{key}: '{path}' has {same:,} of the {len(mine):,} objects of '{use.ann_file}' "
                f"({use.key})"
            )


def _objects_of(table: Table, classes: Sequence[str]) -> set[tuple]:
    """The objects of some classes as (image's id, category's name, x, y, width, height)."""
    rows = np.flatnonzero(table.sound & table.of_classes(classes))
    images = table.image_ids[table.image[rows]].tolist()
    names = [table.names[row] for row in table.category[rows].tolist()]
    boxes = table.boxes[rows].tolist()
    return {(*pair, *box) for *pair, box in zip(images, names, boxes, strict=True)}


def _last(file_name: str | None) -> str | None:
    """The name of an image without its folders, which may differ between two files of one set."""
    return file_name if file_name is None else file_name.rpartition("/")[2]


def _scores_coco(evaluator: Mapping) -> bool:
    ann_file = evaluator.get("ann_file") or ""
    return type_name(evaluator) == "CocoMetric" and ann_file != "" and not is_remote(ann_file)


def _lacks_truth(evaluator: Mapping, loader: Mapping | None) -> bool:
    """Whether a ``CocoMetric`` has neither a file nor samples that bring their ``instances``."""
    if type_name(evaluator) != "CocoMetric" or evaluator.get("ann_file"):
        return False
    pipelines = [
        step
        for _, dataset in find_datasets("", (loader or {}).get("dataset") or {})
        for step in dataset.get("pipeline") or ()
        if isinstance(step, Mapping)
    ]
    return not any("instances" in (step.get("meta_keys") or ()) for step in pipelines)


def _scores_masks(evaluator: Mapping) -> bool:
    metric = evaluator.get("metric", "bbox")
    return "segm" in ([metric] if isinstance(metric, str) else metric)
