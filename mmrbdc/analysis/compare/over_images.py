"""Detectors scored again from their predictions, and compared with each other image by image."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmrbdc.analysis.coco import (
    Annotations,
    IoUType,
    Matches,
    PairedBootstrap,
    match,
    paired_bootstrap,
    read_annotations,
    read_predictions,
)
from mmrbdc.analysis.compare.groups import Group, pairs
from mmrbdc.analysis.compare.oddities import odd_predictions, without_common_kind
from mmrbdc.analysis.reading.evaluation import KINDS, SCORES, Evaluation
from mmrbdc.analysis.reading.rows import Comparison, Row
from mmrbdc.datasets.detection.limits import (
    COCO_MAX_DETS,
    crowded,
    cut_detections,
    kept_limit,
    limit_remarks,
    what_is_left_out,
)
from mmrbdc.runs.errors import AnalysisError

_ROUNDED = 0.00051
"""``test.json`` has three decimals."""


@dataclass(frozen=True)
class ImageDifference:
    """Two groups compared on resampled images.

    Attributes:
        first: label of the group that is subtracted from.
        second: label of the group that is subtracted.
        family: of both.
        field: ``bbox_mAP`` or ``segm_mAP``.
        seeds: whose mean difference it is; empty where the two have no seed in common, and all runs
            of each went into its mean.
        runs: how many of each group.
        result: the difference, AP from 0 to 1, with interval and p.
    """

    first: str
    second: str
    family: str
    field: str
    seeds: tuple[int, ...]
    runs: tuple[int, int]
    result: PairedBootstrap


@dataclass(frozen=True)
class Scored:
    """The runs whose predictions were matched with the annotations.

    Attributes:
        annotations: of all of them; None where there are none.
        rows: row -> the same with AP to the last digit.
        matches: such a row -> matches of boxes and of masks, as far as the run has them.
        remarks: what does not fit ``test.json``, and what AP leaves out.
        max_dets: detections an image and class that were counted.
        cut: how many detections of all rows were not.
        detections: how many there are.
    """

    annotations: Annotations | None
    rows: Mapping[Row, Row]
    matches: Mapping[Row, Mapping[IoUType, Matches]]
    remarks: tuple[str, ...]
    max_dets: int = COCO_MAX_DETS
    cut: int = 0
    detections: int = 0

    def in_comparison(self, comparison: Comparison) -> Comparison:
        """Return the comparison with the exact scores."""
        return replace(
            comparison,
            rows=tuple(map(self._new, comparison.rows)),
            recipes={self._new(row): recipe for row, recipe in comparison.recipes.items()},
            evaluations={self._new(row): e for row, e in comparison.evaluations.items()},
        )

    def in_group(self, group: Group) -> Group:
        """Return the group with the exact scores."""
        rows, grid = (tuple(map(self._new, rows)) for rows in (group.rows, group.grid))
        return replace(group, rows=rows, grid=grid)

    def _new(self, row: Row) -> Row:
        return self.rows.get(row, row)


def score_predictions(
    comparison: Comparison,
    rows: Iterable[Row],
    annotations: Path | None = None,
    max_dets: int = COCO_MAX_DETS,
) -> Scored:
    """Match the predictions of some rows and score them as pycocotools does, to the last digit.

    Args:
        comparison: knows the files.
        rows: those of them without predictions are passed over.
        annotations: where the annotations are now, if not where the tests found them.
        max_dets: detections an image and class that AP counts.

    Raises:
        AnalysisError: a file is missing, changed or odd.
    """
    wanted = [row for row in rows if row in comparison.evaluations]
    if not wanted:
        return Scored(None, {}, {}, (), max_dets)
    read = _read_annotations([comparison.evaluations[row] for row in wanted], annotations)
    scored: dict[Row, Row] = {}
    matches: dict[Row, dict[IoUType, Matches]] = {}
    remarks: list[str] = []
    cut = detections = 0
    for row in wanted:
        own: dict[IoUType, Matches] = {}
        exact: dict[str, Any] = {}
        for kind in KINDS:
            file = comparison.evaluations[row].predictions.get(kind)
            if file is None:
                continue
            path = file.checked(f"predictions of {row.detector_dir or row.name}")
            noted = file.sha256 is not None  # by the test, when it had ended
            predictions = read_predictions(path, read, kind, may_be_empty=noted)
            remarks += odd_predictions(str(row.detector_dir or row.name), predictions)
            found = own[kind] = match(read, predictions, kind, max_dets)
            rows_of_file = predictions.coco.dataset["annotations"]
            detections += len(rows_of_file)
            cut += cut_detections(rows_of_file, max_dets)
            for score, value in found.scores().items():
                exact[f"{kind}_{score}"] = value if value >= 0 else None
        if counted(row) == max_dets:
            remarks += _remarks(row, exact, max_dets)
        scored[row] = replace(row, **exact, max_dets=max_dets)
        matches[scored[row]] = own
    kinds = {row.name: set(own) for row, own in matches.items()}
    remarks += without_common_kind(kinds)
    objects, images = list(read.coco.anns.values()), len(read.image_ids)
    limits = {
        kept_limit(*pair): None for row in wanted for pair in comparison.evaluations[row].keeps
    }
    beyond = crowded(objects, max_dets, per_class=True)
    if beyond is not None:
        remarks.append(what_is_left_out(beyond, images, cut, detections, max_dets, limits))
    remarks += limit_remarks(objects, images, limits)
    return Scored(read, scored, matches, tuple(remarks), max_dets, cut, detections)


def image_differences(
    found: Sequence[Group],
    matches: Mapping[Row, Mapping[IoUType, Matches]],
    resamples: int = 1000,
    seed: int = 0,
) -> list[ImageDifference]:
    """Bootstrap every two groups of a family and detector over the images, boxes and masks.

    Of several seeds the means over the seeds that both groups have are compared, all on the same
    resampled images.
    """
    differences = []
    for first, second in pairs(found):
        for kind in KINDS:
            ours, theirs = (_of_kind(group, matches, kind) for group in (first, second))
            if not ours or not theirs:
                continue
            seeds = tuple(sorted(s for s in ours.keys() & theirs.keys() if s is not None))
            if seeds:
                ours = {s: ours[s] for s in seeds}
                theirs = {s: theirs[s] for s in seeds}
            a, b = ([m for own in side.values() for m in own] for side in (ours, theirs))
            differences.append(
                ImageDifference(
                    first.label,
                    second.label,
                    first.family,
                    f"{kind}_{SCORES[0]}",
                    seeds,
                    (len(a), len(b)),
                    paired_bootstrap(a, b, resamples=resamples, seed=seed),
                )
            )
    return differences


def _of_kind(
    group: Group, matches: Mapping[Row, Mapping[IoUType, Matches]], kind: IoUType
) -> dict[int | None, list[Matches]]:
    """Gather the matches of a group by seed."""
    gathered: dict[int | None, list[Matches]] = {}
    for row in group.rows:
        if kind in matches.get(row, {}):
            gathered.setdefault(group.seed_of(row), []).append(matches[row][kind])
    return gathered


def _read_annotations(evaluations: Sequence[Evaluation], path: Path | None) -> Annotations:
    noted = next((e.annotations for e in evaluations if e.annotations.sha256), None)
    file = noted or evaluations[0].annotations
    if path is None and not file.path.is_file():
        raise AnalysisError(
            f"{file.path} (the annotations that the detectors were tested on) is missing; say "
            "where it is now with --annotations"
        )
    classes = next((e.classes for e in evaluations if e.classes is not None), None)
    masks = any("segm" in e.predictions for e in evaluations)
    read = read_annotations(path or file.path, classes, masks)
    if noted is not None and read.sha256 != noted.sha256:
        raise AnalysisError(
            f"{read.path} is not the annotations that the detectors were tested on (SHA-256 "
            f"{read.sha256[:8]}... and {str(noted.sha256)[:8]}...); give that file with "
            "--annotations, or test again"
        )
    return read


def counted(row: Row) -> int:
    """Return the detections an image and class that a row's AP counts: COCO's where unsaid."""
    return row.max_dets or COCO_MAX_DETS


def _remarks(row: Row, exact: Mapping[str, Any], max_dets: int) -> list[str]:
    odd = [
        f"{field} {noted:.3f} there, {value:.4f} here"
        for field, value in exact.items()
        if (noted := getattr(row, field)) is not None
        and value is not None
        and abs(noted - value) > _ROUNDED
    ]
    if not odd:
        return []
    return [
        f"{row.detector_dir}: test.json and its predictions disagree ({'; '.join(odd)}); shown is "
        f"what all categories of the annotations and {max_dets} detections an image and class give"
    ]
