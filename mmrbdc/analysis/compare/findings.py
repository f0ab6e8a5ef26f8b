"""All that a comparison says: groups, differences and what to be careful about."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrbdc.analysis.compare.fairness import rows_without_predictions, unfairness
from mmrbdc.analysis.compare.groups import Group, PairedDifference, groups, paired_differences
from mmrbdc.analysis.compare.max_dets import agreed_max_dets
from mmrbdc.analysis.compare.over_images import (
    ImageDifference,
    Scored,
    counted,
    image_differences,
    score_predictions,
)
from mmrbdc.analysis.reading.rows import Comparison


@dataclass(frozen=True)
class Findings:
    """A comparison, analysed.

    Attributes:
        comparison: the runs, with AP to the last digit where predictions were kept.
        groups: the runs of each method at its best learning rate.
        by_seed: differences paired by seed.
        over_images: differences on resampled images.
        scored: what the latter were computed from.
        resamples: how many.
        warnings: where rows were not treated alike, or something is not known.
    """

    comparison: Comparison
    groups: tuple[Group, ...]
    by_seed: tuple[PairedDifference, ...]
    over_images: tuple[ImageDifference, ...]
    scored: Scored
    resamples: int
    warnings: tuple[str, ...]

    @property
    def are_runs(self) -> bool:
        """Whether work dirs are compared; otherwise it is prediction files."""
        return any(row.pretrain_dir or row.detector_dir for row in self.comparison.rows)


def analyse(
    comparison: Comparison,
    *,
    resamples: int = 1000,
    annotations: Path | None = None,
    max_dets: int | None = None,
) -> Findings:
    """Group the runs, score kept predictions, compare every pair, and look for what is unfair.

    Args:
        comparison: the runs.
        resamples: of the bootstrap over images; 0 leaves predictions unread and takes the scores
            of ``test.json``.
        annotations: where the annotations of the test are now, if not where the test found them.
        max_dets: detections an image and class that AP counts; None for what the tests counted.

    Raises:
        AnalysisError: predictions or annotations are missing, changed or odd; the tests counted
            different numbers of detections, or another than ``max_dets`` and left no predictions.
    """
    found = groups(comparison)
    limit = agreed_max_dets(comparison, max_dets, rescored=resamples > 0)
    warnings = unfairness(comparison, found)
    if resamples:
        warnings += _not_kept(comparison, found)
        # Of the grid's other rates the scores of test.json will do, if they count as many.
        shown = [
            row
            for group in found
            for row in group.grid
            if row in group.rows or counted(row) != limit
        ]
        scored = score_predictions(comparison, shown, annotations, limit)
    else:
        scored = Scored(None, {}, {}, (), limit)
    comparison = scored.in_comparison(comparison)
    found = [scored.in_group(group) for group in found]
    return Findings(
        comparison=comparison,
        groups=tuple(found),
        by_seed=tuple(paired_differences(found)),
        over_images=tuple(image_differences(found, scored.matches, resamples)),
        scored=scored,
        resamples=resamples,
        warnings=(*warnings, *scored.remarks),
    )


def _not_kept(comparison: Comparison, found: Sequence[Group]) -> list[str]:
    rows = rows_without_predictions(comparison, found)
    if not rows or len(rows) == sum(row.detector is not None for g in found for row in g.rows):
        return []
    folders = ", ".join(str(row.detector_dir) for row in rows)
    return [f"no predictions were kept of {folders}: test again for the differences over images"]
