"""Pictures of the images on which the compared detectors differ most."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrbdc.analysis.coco import (
    IoUType,
    Matches,
    most_different_images,
    read_predictions,
    side_by_side,
)
from mmrbdc.analysis.compare.findings import Findings
from mmrbdc.analysis.compare.groups import Group
from mmrbdc.analysis.reading.rows import Row

_PER_PAIR = 3
_PANELS = 4


@dataclass(frozen=True)
class Picture:
    """One image, with the objects and what each of several detectors found.

    Attributes:
        caption: which image, and which pair differs on it.
        png: the drawing.
    """

    caption: str
    png: bytes


def differing_images(findings: Findings, images: Path | None = None) -> list[Picture]:
    """Draw the images on which the first group of each kind and each other one differ most.

    One run of each group is drawn, those of the first seed that they share; masks where all have
    them.

    Args:
        findings: with predictions, else there are no pictures.
        images: folder of the images, if not the one that the tests read.

    Raises:
        AnalysisError: an image is missing or cannot be read.
    """
    pictures = []
    gathered: dict[tuple[str, str | None], list[Group]] = {}
    for group in findings.groups:
        if any(row in findings.scored.matches for row in group.rows):
            gathered.setdefault((group.family, group.detector_type), []).append(group)
    for own in gathered.values():
        if len(own) > 1:
            pictures += _of_one_kind(findings, own[:_PANELS], images)
    return pictures


def _of_one_kind(findings: Findings, found: Sequence[Group], images: Path | None) -> list[Picture]:
    matches, annotations = findings.scored.matches, findings.scored.annotations
    assert annotations is not None
    runs = _shared_seed(findings, found)
    folder = images or next(
        (i for row in runs.values() if (i := findings.comparison.evaluations[row].images)), None
    )
    if folder is None or (images is None and not folder.is_dir()):
        return []
    has_masks = all("segm" in matches[row] for row in runs.values())
    kind: IoUType = "segm" if has_masks else "bbox"
    of_kind = {label: matches[row][kind] for label, row in runs.items() if kind in matches[row]}
    (first, ours), *others = of_kind.items()
    drawn = {
        label: read_predictions(m.path, annotations, kind, may_be_empty=True)
        for label, m in of_kind.items()
    }
    pictures: list[Picture] = []
    shown: set[int] = set()
    for second, theirs in others:
        for image in _new_images(ours, theirs, shown):
            shown.add(image)
            name = annotations.coco.imgs[image]["file_name"]
            pictures.append(
                Picture(
                    f"{name}: {first} and {second} differ",
                    side_by_side(folder, annotations, drawn, image),
                )
            )
    return pictures


def _new_images(ours: Matches, theirs: Matches, shown: set[int]) -> list[int]:
    found = most_different_images(ours, theirs, _PER_PAIR + len(shown))
    return [image for image in found if image not in shown][:_PER_PAIR]


def _shared_seed(findings: Findings, found: Sequence[Group]) -> dict[str, Row]:
    """Choose one run of each group: of the first seed that all have, else the first of each."""
    kept = {
        group.label: [row for row in group.rows if row in findings.scored.matches]
        for group in found
    }
    seeds = [{group.seed_of(row) for row in kept[group.label]} for group in found]
    common = sorted(s for s in set.intersection(*seeds) if s is not None)
    return {
        group.label: next(
            (row for row in kept[group.label] if common and group.seed_of(row) == common[0]),
            kept[group.label][0],
        )
        for group in found
    }
