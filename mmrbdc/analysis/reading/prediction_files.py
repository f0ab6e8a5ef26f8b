"""Prediction files that came without a run: ``name=path`` pairs become rows."""

import json
from collections.abc import Sequence
from pathlib import Path

from mmrbdc.analysis.coco import IoUType
from mmrbdc.analysis.reading.evaluation import KINDS, Evaluation, File
from mmrbdc.analysis.reading.rows import Comparison, Row
from mmrbdc.runs.errors import AnalysisError

FAMILY = "predictions"


def from_predictions(
    named: Sequence[str], annotations: Path, images: Path | None = None
) -> Comparison:
    """Make a row of each method and seed.

    Args:
        named: ``NAME=FILE``, a COCO result file each; boxes (``*.bbox.json``) and masks
            (``*.segm.json``) of one detector belong together. A name that is there several times
            stands for several seeds, in that order.
        annotations: COCO annotations of the images.
        images: their folder.

    Raises:
        AnalysisError: not such a pair; an empty name; one file twice; a method that has boxes for
            some seeds and masks for others; fewer than two methods.
    """
    files: dict[str, dict[IoUType, list[File]]] = {}
    seen: set[Path] = set()
    for pair in named:
        name, equals, path = pair.partition("=")
        if not name or not equals or not path:
            raise AnalysisError(f"--predictions takes NAME=FILE, got {pair!r}")
        if Path(path).resolve() in seen:
            raise AnalysisError(f"{path} is named twice; leave one out")
        seen.add(Path(path).resolve())
        files.setdefault(name, {}).setdefault(_kind(Path(path)), []).append(File(Path(path)))
    if len(files) < 2:
        raise AnalysisError(
            "a comparison needs the predictions of two methods or more, got those of "
            f"{', '.join(files) or 'none'}"
        )
    evaluations = {}
    for name, kinds in files.items():
        counts = {kind: len(found) for kind, found in kinds.items()}
        if len(set(counts.values())) > 1:
            told = " and ".join(f"{count} of {kind}" for kind, count in counts.items())
            raise AnalysisError(f"{name} has {told} predictions; give each seed both, or one kind")
        for seed in range(max(counts.values())):
            row = Row(name, FAMILY, name, detector=name, seed=seed, finetune_seed=seed)
            own = {kind: found[seed] for kind, found in kinds.items()}
            evaluations[row] = Evaluation(File(annotations), images, own)
    return Comparison(rows=tuple(evaluations), evaluations=evaluations)


def _kind(path: Path) -> IoUType:
    """Tell boxes from masks: by the name that MMDetection gives, else by what is inside."""
    for kind in KINDS:
        if path.name.endswith(f".{kind}.json"):
            return kind
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
        text = start.decode(json.detect_encoding(start), errors="ignore")
        return "segm" if '"segmentation"' in text else "bbox"
    except OSError as error:
        raise AnalysisError(f"{path} cannot be read: {error}") from None
