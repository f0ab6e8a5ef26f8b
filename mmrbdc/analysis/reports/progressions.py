"""Figures of what grows in depth or image size, and the words that explain them."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmrbdc.analysis.charts.progression import alike
from mmrbdc.methods.readers import method_label
from mmrbdc.runs.pretraining import PretrainingRun

HEADING = "Depth and image size"
_GROWTH = (
    "Blocks of a model, and pixels of a side of its images, over the training FLOPs of the run. "
    "What stays the same is not drawn."
)
_SEARCHED = (
    " Yellow is a search: a supernet that holds all sub-nets is trained and they are judged; short "
    "lines are what it tried, the thick one is what it chose. What it takes is part of the run."
)


@dataclass(frozen=True)
class Growing:
    """Runs of one protocol that grew in the same way.

    Attributes:
        stem: name of their figure's file.
        heading: of the figure.
        runs: at least one; the first is drawn.
    """

    stem: str
    heading: str
    runs: tuple[PretrainingRun, ...]


def growing(runs: Sequence[PretrainingRun]) -> list[Growing]:
    """One entry per protocol whose stages differ in depth or image size; several where searches
    of other seeds found otherwise.
    """
    protocols: dict[tuple[str, str], list[PretrainingRun]] = {}
    for run in runs:
        protocols.setdefault((run.method, run.name), []).append(run)
    found = []
    for (method, name), own in protocols.items():
        kinds = [kind for kind in alike(own) if kind[0].grows]
        for i, kind in enumerate(kinds):
            stem = f"progression-{method}-{name}" + (f"-{i + 1}" if i else "")
            seeds = _seeds(kind) if len(kinds) > 1 else ""
            found.append(Growing(stem, f"{method_label(method)}: {name}{seeds}", kind))
    return found


def growth_words(found: Sequence[Growing]) -> str:
    """What a reader of these figures needs to know."""
    searched = any(one.runs[0].searches for one in found)
    return _GROWTH + _SEARCHED * searched


def _seeds(runs: Sequence[PretrainingRun]) -> str:
    return f", seed{'s' if len(runs) > 1 else ''} {', '.join(str(run.seed) for run in runs)}"
