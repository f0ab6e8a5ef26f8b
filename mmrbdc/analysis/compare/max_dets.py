"""The number of detections an image and class that the APs of a comparison count."""

from mmrbdc.analysis.compare.over_images import counted
from mmrbdc.analysis.reading.rows import Comparison, Row
from mmrbdc.datasets.detection.limits import COCO_MAX_DETS
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.shipped import command


def agreed_max_dets(comparison: Comparison, asked: int | None, *, rescored: bool) -> int:
    """Return the number that all rows' APs will count.

    Args:
        comparison: the runs.
        asked: by the user; None takes what the tests counted.
        rescored: whether kept predictions are scored again, by which rows can change.

    Raises:
        AnalysisError: ``asked`` is not positive; the tests counted different numbers and nobody
            asked for one; a row counted another than ``asked`` and cannot be scored again.
    """
    if asked is not None and asked < 1:
        raise AnalysisError(f"--max-dets should be 1 or more, got {asked}")
    rows = [row for row in comparison.rows if row.detector is not None]
    noted: dict[int, Row] = {}
    for row in rows:
        if row.bbox_mAP is not None:
            noted.setdefault(counted(row), row)
    if asked is None:
        if len(noted) > 1:
            told = " and ".join(f"{row.detector_dir} {most}" for most, row in noted.items())
            raise AnalysisError(
                f"AP counts different numbers of detections an image and class: {told}; score all "
                f"alike with --max-dets {max(noted)}, or test one again with that"
            )
        return next(iter(noted), COCO_MAX_DETS)
    fixed = [
        row
        for row in rows
        if row.bbox_mAP is not None
        and counted(row) != asked
        and not (rescored and row in comparison.evaluations)
    ]
    if fixed:
        raise AnalysisError(
            f"--max-dets {asked}: the AP of {fixed[0].detector_dir} counts {counted(fixed[0])} "
            "detections an image and class, and without its predictions it cannot be scored again; "
            f"test it with {command('test', '...', '--max-dets', asked)}"
        )
    return asked
