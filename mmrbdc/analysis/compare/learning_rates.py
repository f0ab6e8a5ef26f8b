"""The learning rates that one method was fine-tuned with, and the best of them."""

from collections.abc import Sequence

import numpy as np

from mmrbdc.analysis.reading.rows import Row


def by_lr(rows: Sequence[Row]) -> dict[float | None, tuple[Row, ...]]:
    """Gather runs by learning rate, the lowest first, unknown ones before them."""
    rates = sorted({row.lr for row in rows}, key=lambda lr: -1.0 if lr is None else lr)
    return {lr: tuple(row for row in rows if row.lr == lr) for lr in rates}


def criterion(rows: Sequence[Row]) -> str:
    """Return the field that the best learning rate is chosen by.

    That is box AP on the validation split; where a run's was not kept, box AP as reported.
    """
    validated = all(row.val_bbox_mAP is not None for row in rows)
    return "val_bbox_mAP" if validated else "bbox_mAP"


def chosen(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the runs with the learning rate of the highest mean score over its runs.

    Equal scores leave the lowest rate.
    """
    grid = by_lr(rows)
    if len(grid) == 1:
        return tuple(rows)
    field = criterion(rows)
    scores = {lr: np.mean([getattr(row, field) or 0.0 for row in own]) for lr, own in grid.items()}
    return grid[max(scores, key=lambda lr: scores[lr])]
